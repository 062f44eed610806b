"""Sets the stage for the story in a temporary folder and on free ports, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

from did_agent.cli.demo.narrator import Narrator, StoryBroken
from did_agent.clock import system_clock
from did_agent.errors import Misconfigured

_PORTS_NEEDED: Final = 6  # base to base + 5; see `did-agent up`
_FIRST_PORT: Final = 18_400
_LAST_PORT: Final = 28_400


def run(*, as_json: bool = False) -> int:
    """Walk the story and return the exit code: 0 when every step ended as told, 1 otherwise."""
    try:
        import mcp  # noqa: F401  # the story needs the official SDK
    except ImportError as error:
        raise Misconfigured("the demo needs the MCP SDK: pip install 'did-agent[server,mcp]'") from error
    from did_agent.adapters.log_lines import set_up_logs
    from did_agent.cli.demo.story import tell
    from did_agent.cli.up import running

    set_up_logs()

    narrator = Narrator(quiet=as_json)
    begun = system_clock()

    async def stage() -> None:
        with tempfile.TemporaryDirectory(prefix="did-agent-demo-") as folder:
            async with running(Path(folder), _free_base()) as deployment:
                await tell(deployment, narrator)

    try:
        asyncio.run(stage())
    except StoryBroken as error:
        sys.stderr.write(f"did-agent: the story broke: {error}\n")
        return 1
    finally:
        if as_json:
            sys.stdout.write(json.dumps(narrator.told, indent=2, ensure_ascii=False) + "\n")
    seconds = (system_clock() - begun).total_seconds()
    narrator.note(f"\nDone in {seconds:.1f} s; nothing was left running. `make up` keeps the parties up.")
    return 0


def _free_base() -> int:
    """Return a base port with all ports above it free, so that a running `up` is not disturbed."""
    for base in range(_FIRST_PORT, _LAST_PORT, 10):
        if all(_is_free(base + offset) for offset in range(_PORTS_NEEDED)):
            return base
    raise Misconfigured(f"no free ports on 127.0.0.1 between {_FIRST_PORT} and {_LAST_PORT}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
