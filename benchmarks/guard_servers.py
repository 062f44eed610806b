"""MCP servers that are measured, each a process on one core, and the parties behind their guards."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from token_processes import CORE, free_port, process, until_ready
from token_servers import COMMAND, RESOURCE, Bridge

from did_agent.adapters.trust import FILE
from did_agent.cli.deployment import Deployment, Urls
from did_agent.client.bridge import BridgeClient
from did_agent.did.key import did_key
from did_agent.encoding import base64url

TARGET: Final = Path(__file__).with_name("guard_target.py")
PROXY: Final = "proxy"  # our guard as a reverse proxy before a server of the SDK
PARTY: Final = "urban-bites"  # whose events the ledger takes
VERSION: Final = "2026-07-28"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_CALL: Final = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "list_menu", "arguments": {}, "_meta": _META},
    },
    separators=(",", ":"),
).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One MCP server."""

    kind: str
    port: int
    pid: int


@contextmanager
def target(kind: str, bridge: Bridge, *, ledger: bool = False, disk: str | None = None) -> Iterator[Target]:
    """Run an MCP server of one kind; its guard, if it has one, believes `bridge`, and may deliver to its ledger.

    `disk` is the folder where the guard's own begins: on a disk that is memory, syncing costs nothing.
    """
    with tempfile.TemporaryDirectory(dir=disk or bridge.folder) as name:
        settled(Path(name), bridge)
        port = free_port()
        # Told apart from the parties' own environment, where a guard would find the deployment's folder.
        own = {key: value for key, value in os.environ.items() if not key.startswith("DID_AGENT_")}
        with ExitStack() as stack:
            if kind == PROXY:
                behind = stack.enter_context(target("sdk", bridge))
                command = [*COMMAND, "--data", name, "guard", "--upstream", f"http://127.0.0.1:{behind.port}/mcp"]
                command += ["--resource", RESOURCE, "--bridge", bridge.url, "--bind", f"127.0.0.1:{port}"]
            else:
                command = [sys.executable, str(TARGET), kind, str(port), RESOURCE, bridge.url, name]
                command.append(bridge.ledger if ledger else "")
            pid = stack.enter_context(process(command, own, core=CORE))
            until_ready(f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp", also=404)
            yield Target(kind=kind, port=port, pid=pid)


def settled(folder: Path, bridge: Bridge) -> Path:
    """Make a folder that of a guard which the bridge and the ledger know."""
    (folder / "keys").mkdir(mode=0o700)
    for name in ("guard", PARTY):
        shutil.copy(bridge.folder / "keys" / f"{PARTY}.jwk", folder / "keys" / f"{name}.jwk")
    shutil.copy(bridge.folder / FILE, folder)
    return folder


async def issued(bridge: Bridge, keys: dict[str, bytes]) -> dict[str, Any]:
    """Return a credential of the first agent that may be handed on four times; write down the bridge's keys."""
    at = Deployment(urls=Urls(bridge_url=bridge.url, issuer_url=bridge.issuer), data=bridge.folder)
    agent = next(one for one in await at.issuer.agents() if one["did"] == did_key(bridge.keys[0].public))
    capability = {"resource": [RESOURCE], "tools": {"list_menu": {}}}
    answer = await at.issuer.issue_credential(agent["agent_id"], capabilities=[capability], max_depth=4)
    async with httpx2.AsyncClient(trust_env=False) as http:
        known = (await http.get(f"{bridge.url}/.well-known/jwks.json")).json()["keys"]
    keys.update({one["kid"]: base64url.decode(one["x"]) for one in known if one.get("crv") == "Ed25519"})
    document: dict[str, Any] = answer["credential"]
    return document


def token(bridge: Bridge) -> str:
    """Return an access token of the first agent, good for five minutes."""
    client = BridgeClient(bridge.url)
    return asyncio.run(client.client_credentials(bridge.keys[0], resource=RESOURCE))


def call(port: int, credential: str | None) -> bytes:
    """Return one call of the tool, ready to be sent."""
    shown = "" if credential is None else f"Authorization: Bearer {credential}\r\n"
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: list_menu\r\n{shown}Content-Length: {len(_CALL)}\r\n\r\n"
    )
    return head.encode() + _CALL
