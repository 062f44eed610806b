"""The guard inside servers of other frameworks: the same decisions and records as before any ASGI app."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastmcp import FastMCP
from mcp.server.mcpserver import MCPServer

from did_agent.errors import NotAuthenticated
from tests.fakes import guard_world
from tests.fakes.guard_world import BRIDGE, RESOURCE, World, call
from verifier.frameworks import fastmcp as for_fastmcp
from verifier.frameworks import mcp_sdk as for_sdk
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.caller import current_caller, current_decision
from verifier.mcp.guard import Guard

VERSIONS = ("2025-06-18", "2025-11-25", "2026-07-28")
MENU = "menu://today"
Server = Callable[[World], Any]


def list_menu() -> str:
    """Read the menu."""
    return f"{current_caller().agent} {current_decision().reason}"


def update_stock(quantity: int) -> str:
    """Change the stock."""
    return f"{quantity}"


def delete_order() -> str:
    """Delete an order."""
    return "deleted"


def menu() -> str:
    """Tell the menu."""
    return "falafel"


def _sdk(**options: Any) -> MCPServer:
    server = MCPServer("Shop", log_level="CRITICAL", **options)
    for tool in (list_menu, update_stock, delete_order):
        server.add_tool(tool)
    server.resource(MENU)(menu)
    return server


def before_the_app(world: World) -> Any:
    app = _sdk().streamable_http_app(json_response=True, stateless_http=True, host="mcp.example")
    guard = world.guard()
    guarded = Guard(app, guard._parts, ResourceMetadata(resource=RESOURCE, bridge=BRIDGE))
    guarded.router = app.router  # type: ignore[attr-defined]  # for its lifespan
    return guarded


def in_the_sdk(_world: World) -> Any:
    server = _sdk(**for_sdk.did_agent_auth(resource=RESOURCE, bridge=BRIDGE))
    return server.streamable_http_app(json_response=True, stateless_http=True, host="mcp.example")


def in_fastmcp(_world: World) -> Any:
    server = FastMCP("Shop", auth=for_fastmcp.DidAgentAuth(resource=RESOURCE, bridge=BRIDGE))
    for tool in (list_menu, update_stock, delete_order):
        server.tool(tool)
    server.resource(MENU)(menu)
    return server.http_app(path="/mcp", json_response=True, stateless_http=True)


SERVERS: dict[str, Server] = {"protect": before_the_app, "MCP SDK": in_the_sdk, "FastMCP": in_fastmcp}


@dataclass
class Stage:
    world: World
    app: Any

    async def ask(
        self, message: dict[str, Any], credential: str | None, version: str = VERSIONS[-1]
    ) -> httpx2.Response:
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        asked = {**message, "params": {**message.get("params", {}), "_meta": meta}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": version,
        }
        if version == VERSIONS[-1]:
            headers["Mcp-Method"] = asked["method"]
            named = asked["params"].get("name") or asked["params"].get("uri")
            headers |= {} if named is None else {"Mcp-Name": named}
        if credential is not None:
            headers["Authorization"] = f"Bearer {credential}"
        transport = httpx2.ASGITransport(app=self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http:
            return await http.post("/mcp", content=json.dumps(asked).encode(), headers=headers)

    async def outcome(self, message: dict[str, Any], credential: str | None, version: str = VERSIONS[-1]) -> str:
        answer = (await self.ask(message, credential, version)).json()
        if "error" in answer:
            return str(answer["error"]["message"])
        result = answer["result"]
        text = result["content"][0]["text"] if "content" in result else json.dumps(result)
        return ("error: " if result.get("isError") else "") + text


def token(world: World, **changes: Any) -> str:
    times = {"issued_at": world.now, "expires": world.now + timedelta(seconds=300)}
    return guard_world.token(**{**times, **changes})


@asynccontextmanager
async def staged(server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    world = World(now=datetime.now(UTC).replace(microsecond=0))  # the SDK looks at its own clock too
    for module in (for_sdk, for_fastmcp):
        monkeypatch.setattr(module, "compose", lambda **_options: world.guard()._parts)
    app = SERVERS[server](world)
    async with app.router.lifespan_context(app):
        yield Stage(world, app)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server", SERVERS)
async def test_calls_are_decided_and_tools_know_their_caller(
    server: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(server, monkeypatch) as stage:
        shown = token(stage.world)
        assert await stage.outcome(call("list_menu"), shown, version) == f"{guard_world.AGENT} allowed"
        assert await stage.outcome(call("update_stock", quantity=3), shown, version) == "3"
        denied = await stage.outcome(call("update_stock", quantity=10), shown, version)
        assert denied.startswith("error: Refused: the agent")
        assert "not with these arguments" in denied
        assert "no capability covers it" in await stage.outcome(call("delete_order"), shown, version)
        told = [(event.target, event.decision, event.reason) for event in stage.world.events]
        assert told == [
            ("list_menu", "allow", "allowed"),
            ("update_stock", "allow", "allowed"),
            ("update_stock", "deny", "arguments_refused"),
            ("delete_order", "deny", "agent_not_capable"),
        ]
        with pytest.raises(NotAuthenticated):
            current_caller()


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server", SERVERS)
async def test_the_list_of_tools_is_the_callers_own(server: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(server, monkeypatch) as stage:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        result = (await stage.ask(asked, token(stage.world), version)).json()["result"]
        assert sorted(tool["name"] for tool in result["tools"]) == ["list_menu", "update_stock"]
        assert result.get("cacheScope") == ("private" if version == VERSIONS[-1] else None)


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize("server", SERVERS)
async def test_methods_are_judged_like_tools(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(server, monkeypatch) as stage:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": MENU}}
        assert "no capability covers it" in await stage.outcome(asked, token(stage.world))
        held = guard_world.parse_bare_capability({"resource": [RESOURCE], "tools": {"resources/read": {}}})
        shown = token(stage.world, capabilities=(held,), scopes=guard_world.scopes_of((held,)))
        assert "falafel" in await stage.outcome(asked, shown)
        assert "no capability covers it" in await stage.outcome(call("list_menu"), shown)


@pytest.mark.req("TOK-07", "TOK-06", "DEL-10")
@pytest.mark.parametrize("server", SERVERS)
async def test_what_is_not_believed_gets_in_nowhere(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(server, monkeypatch) as stage:
        world = stage.world
        used = token(world, credential_ids=("urn:uuid:used",))
        assert (await stage.ask(call("list_menu"), used)).status_code == 200
        world.ended.add("urn:uuid:used")
        old = {"issued_at": world.now - timedelta(seconds=400), "expires": world.now - timedelta(seconds=100)}
        wrong = {
            "nothing": None,
            "nonsense": "nonsense",
            "wrong audience": token(world, audience="https://other.example/mcp"),
            "expired": token(world, **old),
            "revoked": used,
        }
        for what, shown in wrong.items():
            answer = await stage.ask(call("list_menu"), shown)
            assert answer.status_code == 401, what
            assert "resource_metadata=" in answer.headers["www-authenticate"], what
        where = "https://mcp.example/.well-known/oauth-protected-resource/mcp"
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=stage.app)) as http:
            metadata = (await http.get(where)).json()
        assert (metadata["resource"], metadata["authorization_servers"]) == (RESOURCE, [BRIDGE])


@pytest.mark.parametrize("form", ["jwt", "vp"])
async def test_the_records_are_the_same_everywhere(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = []
    for server in SERVERS:
        async with staged(server, monkeypatch) as stage:
            monkeypatch.setattr(guard_world, "NOW", stage.world.now)
            document = guard_world.credential(id="urn:uuid:same")
            shown = guard_world.presentation(document) if form == "vp" else token(stage.world, id="same")
            assert await stage.outcome(call("update_stock", quantity=3), shown) == "3"
            (event,) = stage.world.events
            told = event.to_json()
            for name in ("id", "time", "request_id", "evidence", "details"):
                told.pop(name)
            records.append(told)
    assert records[0] == records[1] == records[2]
