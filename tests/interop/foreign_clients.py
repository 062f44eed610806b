"""Other people's OAuth and MCP clients, each a script in a process of its own, with a person at its side."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx2

from did_agent.cli.demo.person import sign_in_and_consent
from tests.fakes.node_packages import environment, installed, node

HERE: Final = Path(__file__).parent / "foreign"


async def run(script: str, *, username: str, password: str, **given: Any) -> dict[str, Any]:
    """Run a script; sign in and consent at the page it opens; return what it says at the end."""
    folder = installed("foreign", HERE / "package.json")
    for source in HERE.glob("*.mjs"):
        shutil.copy(source, folder)
    process = subprocess.Popen(
        [node(), script, json.dumps(given)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        return await _conversation(process, username=username, password=password)
    finally:
        process.kill()
        process.communicate()


async def _conversation(process: subprocess.Popen[str], *, username: str, password: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if "open" not in said:
            return said
        answer = await sign_in_and_consent(said["open"], username=username, password=password)
        redirect = httpx2.URL("http://127.0.0.1:9/callback", params=answer)
        process.stdin.write(f"{redirect}\n")
        process.stdin.flush()
    raise AssertionError(process.stderr.read()[-3_000:])
