"""A server on standard input and output: its caller is in the environment, and is judged at each call."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from did_agent.errors import Expired, NotAuthenticated, Replayed, Revoked
from tests.fakes import guard_world
from tests.fakes.guard_world import World
from verifier.frameworks.stdio import VARIABLE, FromEnvironment

ROOT = Path(__file__).parents[2]
SERVER = """
import sys
sys.path.insert(0, {root!r})
from datetime import UTC, datetime
from mcp.server.mcpserver import MCPServer
from tests.fakes.guard_world import World
from verifier.frameworks import stdio
from verifier.mcp.caller import current_caller

world = World(now=datetime.now(UTC).replace(microsecond=0))
stdio.compose = lambda **_options: world.guard()._parts
server = MCPServer("Shop", log_level="CRITICAL", **stdio.did_agent_stdio(resource="https://mcp.example/mcp"))


@server.tool()
def list_menu() -> str:
    return current_caller().agent


@server.tool()
def delete_order() -> str:
    return "deleted"


server.run()
"""


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def token(at: datetime, **changes: Any) -> str:
    return guard_world.token(**{"issued_at": at, "expires": at + timedelta(seconds=300), **changes})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_real_server_knows_its_caller_from_the_environment(tmp_path: Path, mode: str) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER.format(root=str(ROOT)))
    started = StdioServerParameters(
        command=sys.executable, args=[str(script)], env={VARIABLE: token(now()), "PYTHONPATH": str(ROOT)}
    )
    async with asyncio.timeout(30), Client(stdio_client(started), mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_menu"]
        assert (await client.call_tool("list_menu", {})).content[0].text == guard_world.AGENT
        refused = await client.call_tool("delete_order", {})
        assert refused.is_error
        assert "no capability covers it" in refused.content[0].text


@pytest.mark.req("DEL-10", "TOK-06")
async def test_the_caller_is_held_against_revocation_at_each_call(tmp_path: Path) -> None:
    world, at = World(), guard_world.NOW
    admitted = FromEnvironment(world.guard()._parts, {VARIABLE: token(at, credential_ids=("urn:uuid:c9",))})
    assert (await admitted()).caller.agent == guard_world.AGENT
    world.ended.add("urn:uuid:c9")
    with pytest.raises(Revoked):
        await admitted()
    assert world.events[-1].reason == "revoked"
    world.ended.clear()
    world.now = at + timedelta(seconds=400)
    with pytest.raises(Expired):
        await admitted()


@pytest.mark.req("VCX-01")
async def test_a_presentation_is_shown_once_and_counts_until_it_ends() -> None:
    world = World()
    shown = guard_world.presentation()
    admitted = FromEnvironment(world.guard()._parts, {VARIABLE: shown})
    first, again = await admitted(), await admitted()
    assert first == again
    assert first.form == "vp"
    with pytest.raises(Replayed):
        await FromEnvironment(world.guard()._parts, {VARIABLE: shown})()


async def test_a_credential_in_a_file_is_read_again_when_it_expired(tmp_path: Path) -> None:
    world, file = World(), tmp_path / "token"
    file.write_text(token(guard_world.NOW, id="first") + "\n")
    admitted = FromEnvironment(world.guard()._parts, {f"{VARIABLE}_FILE": str(file)})
    assert (await admitted()).token_id == "first"
    world.now += timedelta(seconds=301)
    file.write_text(token(world.now, id="second"))
    assert (await admitted()).token_id == "second"


@pytest.mark.parametrize("environment", [{}, {VARIABLE: " "}, {f"{VARIABLE}_FILE": "/nowhere/at/all"}])
async def test_without_a_credential_nothing_is_called(environment: dict[str, str]) -> None:
    world = World()
    with pytest.raises(NotAuthenticated):
        await FromEnvironment(world.guard()._parts, environment)()
    assert world.events[-1].reason == "not_authenticated"
