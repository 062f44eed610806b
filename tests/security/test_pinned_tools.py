"""Pinned tools over a real MCP server: what changed or is new is blocked and hidden until an operator approves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from did_agent.adapters.tool_pins import FILE, load_listing, load_pins
from did_agent.errors import PeerUnavailable
from did_agent.policy import tool_review
from tests.fakes.guard_world import NOW, RESOURCE
from tests.fakes.pinned_server import GREET, OPERATOR, POISON, PinnedServer, tell

MODES = ["legacy", "2026-07-28", "auto"]


@pytest.fixture
def server(tmp_path: Path) -> PinnedServer:
    return PinnedServer(tmp_path)


def reasons(server: PinnedServer) -> list[str]:
    return [event.reason for event in server.world.events if event.action == "tool.call"]


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("json_response", [False, True])
async def test_a_changed_tool_is_blocked_and_hidden_until_it_is_approved_again(
    mode: str, json_response: bool, tmp_path: Path
) -> None:
    server = PinnedServer(tmp_path, json_response=json_response)
    async with server.running(), server.client(mode) as client:
        await server.approve()
        assert {tool.name for tool in (await client.list_tools()).tools} == {"greet", "fail", "tell"}
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        server.put("greet", POISON)
        server.later(61)
        refused = await client.call_tool("greet", {"name": "Ada"})
        assert refused.is_error
        assert "not as it was approved" in refused.content[0].text
        assert "evil" not in refused.content[0].text
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == {"fail", "tell"}
        assert not (await client.call_tool("tell", {"name": "Ada"})).is_error
        await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        assert POISON in [tool.description for tool in (await client.list_tools()).tools]
    assert reasons(server) == ["allowed", "tool_changed", "allowed", "allowed"]
    assert "evil" not in str([event.to_json() for event in server.world.events])


@pytest.mark.req("LLM-06")
async def test_a_rug_pull_is_seen_in_the_list_that_passes_before_what_is_known_is_old(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        server.put("greet", POISON)
        assert "greet" not in [tool.name for tool in (await client.list_tools()).tools]
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        server.put("greet", GREET)
        assert "greet" in [tool.name for tool in (await client.list_tools()).tools]
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error


@pytest.mark.req("LLM-06")
async def test_a_tool_that_nobody_approved_is_refused_and_not_shown(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        await server.approve()
        server.put("extra", "Something new.")
        assert "extra" not in [tool.name for tool in (await client.list_tools()).tools]
        refused = await client.call_tool("extra", {"name": "Ada"})
        assert refused.is_error
        assert "was not approved" in refused.content[0].text
        await server.approve("extra")
        assert not (await client.call_tool("extra", {"name": "Ada"})).is_error
    assert reasons(server) == ["tool_not_approved", "allowed"]


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize(
    "changed",
    [
        {"description": GREET + "\u200b"},
        {"description": "Greet somebod\u0443."},  # the last letter but one is not Latin
        {"description": GREET + " "},
        {"description": "\u202e" + GREET},
        {"description": GREET, "title": "Greet"},
        {"description": GREET, "body": tell},  # another schema
        {"description": GREET, "annotations": {"readOnlyHint": True}},
    ],
)
async def test_whatever_a_model_can_read_counts(server: PinnedServer, changed: dict[str, object]) -> None:
    from mcp_types import ToolAnnotations

    async with server.running(), server.client() as client:
        await server.approve()
        options = dict(changed)
        if "annotations" in options:
            options["annotations"] = ToolAnnotations(read_only_hint=True)
        server.put("greet", **options)
        assert "greet" not in [tool.name for tool in (await client.list_tools()).tools]
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
    assert reasons(server) == ["tool_changed"]


async def test_a_tool_that_is_gone_is_refused(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        await server.approve()
        server.server.remove_tool("greet")
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
    assert reasons(server) == ["tool_changed"]


@pytest.mark.req("LLM-06")
async def test_a_revoked_approval_blocks_at_once_and_without_pins_nothing_is_blocked(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        pins = await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        revoke(server, pins, "greet")
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        assert not (await client.call_tool("tell", {"name": "Ada"})).is_error


def revoke(server: PinnedServer, pins: object, *names: str) -> None:
    from did_agent.adapters.tool_pins import save_pins
    from tests.fakes.pinned_server import OPERATOR_KEY

    before = load_pins(server.folder / FILE, operators=[OPERATOR])
    assert before == pins
    assert before is not None
    save_pins(
        server.folder / FILE,
        tool_review.revoke(before, RESOURCE, names, by=OPERATOR, at=NOW),
        key=OPERATOR_KEY,
    )


@pytest.mark.req("LLM-06")
async def test_where_pins_are_required_nothing_is_allowed_before_the_first_approval(tmp_path: Path) -> None:
    server = PinnedServer(tmp_path, is_required=True)
    async with server.running(), server.client() as client:
        assert (await client.list_tools()).tools == []
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        seen = load_listing((tmp_path / "seen-tools" / "guard.json").read_bytes())
        assert (seen.resource, {tool["name"] for tool in seen.tools}) == (RESOURCE, {"greet", "fail", "tell"})
        await server.approve("greet")
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        assert (await client.call_tool("tell", {"name": "Ada"})).is_error
    assert reasons(server) == ["tool_not_approved", "allowed", "tool_not_approved"]


async def test_the_server_is_asked_once_a_minute_and_not_with_each_call(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        await server.approve()
        asked = []
        for seconds in (0, 30, 29, 1, 59, 1):
            server.later(seconds)
            assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
            assert server.pinned.known.seen is not None
            asked.append((server.pinned.known.seen - NOW).total_seconds())
        assert asked == [0, 0, 0, 60, 60, 120]


@pytest.mark.req("LLM-06")
async def test_a_server_that_does_not_say_what_its_tools_are_is_not_called(server: PinnedServer) -> None:
    async with server.running(), server.client() as client:
        await server.approve()
        inner, called = server.guard._app, []

        async def silent(scope: dict[str, Any], receive: Any, send: Any) -> None:
            called.append(scope["method"])
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        server.guard._app = silent
        with pytest.raises(MCPError):
            await client.call_tool("greet", {"name": "Ada"})
        assert called == ["POST", "POST"]  # asked by the newest wire and by an older one, and nothing else
        server.guard._app = inner
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
    assert reasons(server) == ["peer_unavailable", "allowed"]


@pytest.mark.req("LLM-06")
async def test_who_can_write_the_folder_cannot_approve(server: PinnedServer) -> None:
    from tests.fakes.guard_world import OTHER_KEY

    file = server.folder / FILE
    async with server.running(), server.client() as client:
        await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        honest = file.read_text()
        server.put("greet", POISON)
        server.later(61)
        head, body, tail = json.loads(honest)["pins"].split(".")
        attempts = [
            json.dumps({"pins": f"{head}.{body[:-4]}AAAA.{tail}"}),
            "{}",
            "not JSON",
            json.dumps({"pins": "a.b.c"}),
            "",
        ]
        for attempt in attempts:
            file.write_text(attempt)
            assert (await client.call_tool("greet", {"name": "Ada"})).is_error, attempt
            assert not (await client.call_tool("tell", {"name": "Ada"})).is_error, attempt
        file.unlink()
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        await server.approve(key=OTHER_KEY)
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        file.write_text(honest)
        await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error


@pytest.mark.req("LLM-06")
async def test_an_older_approval_does_not_come_back(server: PinnedServer) -> None:
    file = server.folder / FILE
    async with server.running(), server.client() as client:
        pins = await server.approve()
        older = file.read_text()
        revoke(server, pins, "greet")
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        file.write_text(older)
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error


@pytest.mark.req("LLM-06")
async def test_a_guard_that_finds_pins_it_cannot_believe_lets_nothing_through(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{}")
    server = PinnedServer(tmp_path)
    async with server.running(), server.client() as client:
        assert (await client.call_tool("greet", {"name": "Ada"})).is_error
        (tmp_path / FILE).unlink()
        await server.approve()
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
    assert reasons(server) == ["tool_not_approved", "allowed"]


async def test_only_the_operator_says_which_tools_only_read(server: PinnedServer) -> None:
    from mcp_types import ToolAnnotations

    async with server.running():
        server.put("greet", GREET, annotations=ToolAnnotations(read_only_hint=True))
        await server.approve(reads=["tell"])
    assert server.pinned.is_read_only("tell")
    assert not server.pinned.is_read_only("greet")
    assert not server.pinned.is_read_only("nobody")


@pytest.mark.req("LLM-06")
async def test_a_silent_server_is_not_asked_once_for_each_who_waits(server: PinnedServer) -> None:
    asked = 0

    async def silent() -> Sequence[Mapping[str, object]]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        raise PeerUnavailable("silent")

    async with server.running():
        await server.approve()
    waiting = [server.pinned.ensure_known("greet", silent, NOW) for _ in range(5)]
    await asyncio.gather(*waiting)
    assert asked == 1
    await server.pinned.ensure_known("greet", silent, NOW)
    assert asked == 2
