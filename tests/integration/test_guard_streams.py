"""What happens around a guarded call: streams that are cut, tools that are hidden, bodies that do not come."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from mcp.server.mcpserver import MCPServer

from tests.fakes.guard_world import NOW, RESOURCE, World, call, token
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.asgi import read_body
from verifier.mcp.guard import Guard
from verifier.streams import OpenStreams

LISTENING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.fixture
def world() -> World:
    return World()


class Streaming:
    """A server whose answers begin and then go on until somebody ends them."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.begun = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": begun\n\n", "more_body": True})
        self.begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended.append("cut")
            raise


def guarded(world: World, app: Any, **options: Any) -> Guard:
    made = world.guard()
    return Guard(app, made._parts, ResourceMetadata(resource=RESOURCE, bridge="https://bridge.example"), **options)


async def open_stream(guard: Guard, shown: str, sent: list[Any], *, method: str = "POST") -> None:
    body = json.dumps(call("list_menu")).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {shown}".encode())]
    scope = {"type": "http", "method": method, "path": "/mcp", "query_string": b"", "headers": headers}
    await guard(scope, receive, send)


@pytest.mark.req("REV-01", "DEL-10")
@pytest.mark.parametrize("ended", ["urn:uuid:c1", "the-token"])
async def test_the_open_stream_of_a_revoked_caller_is_cut_and_ended_in_order(world: World, ended: str) -> None:
    app, sent = Streaming(), list[Any]()
    guard = guarded(world, app)
    stream = asyncio.create_task(open_stream(guard, token(id="the-token"), sent))
    await asyncio.wait_for(app.begun.wait(), 5)
    other = Streaming()
    undisturbed = asyncio.create_task(
        open_stream(replace_app(guard, other), token(id="other", credential_ids=("urn:uuid:c2",)), list[Any]())
    )
    await asyncio.wait_for(other.begun.wait(), 5)
    guard._parts.streams.cut(ended)
    await asyncio.wait_for(stream, 5)
    assert app.ended == ["cut"]
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 2]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert (world.events[-1].action, world.events[-1].reason) == ("stream.end", "no_longer_admitted")
    assert not undisturbed.done()
    undisturbed.cancel()
    await asyncio.gather(undisturbed, return_exceptions=True)
    assert len(guard._parts.streams) == 0


def replace_app(guard: Guard, app: Any) -> Guard:
    return Guard(app, guard._parts, guard._metadata)


@pytest.mark.req("REV-01")
async def test_a_listening_stream_ends_with_its_token_and_a_call_does_not(world: World) -> None:
    app = Streaming()
    guard = guarded(world, app)
    shown = token(expires=NOW + timedelta(seconds=1), issued_at=NOW - timedelta(seconds=5))
    listening = asyncio.create_task(open_stream(guard, shown, list[Any](), method="GET"))
    calling = asyncio.create_task(open_stream(guard, shown, list[Any]()))
    await asyncio.wait_for(listening, 5)
    assert app.ended == ["cut"]
    assert not calling.done()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)


async def test_a_timeout_of_the_server_itself_is_not_taken_for_a_cut() -> None:
    admission: Any = type("Somebody", (), {"revocable_ids": ("x",)})()
    streams = OpenStreams()
    with pytest.raises(TimeoutError, match="its own"), streams.open(admission, until=None, now=NOW):
        raise TimeoutError("its own")
    assert len(streams) == 0


@pytest.mark.req("LIM-02")
async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Any:
        await asyncio.sleep(60)

    async def drips() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def leaves() -> Any:
        return {"type": "http.disconnect"}

    for receive in (never, drips, leaves):
        with pytest.raises(Exception, match=r"not come"):
            await read_body(receive, seconds=0.1)


def _server() -> Any:
    server = MCPServer("Hidden", log_level="CRITICAL")
    called: list[str] = []

    @server.tool()
    def delete_order(order_id: str) -> str:
        called.append(order_id)
        return "deleted"

    return server, called


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_a_hidden_tool_answers_in_the_bytes_of_an_unknown_one(world: World, version: str) -> None:
    server, called = _server()
    app = server.streamable_http_app(json_response=True, stateless_http=True, host="mcp.example")
    guard = guarded(world, app, hide_tools=True)

    async def ask(tool: str, through: Any) -> httpx2.Response:
        asked: dict[str, Any] = call(tool, order_id="1")
        asked["params"]["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers = [
            ("Accept", "application/json, text/event-stream"),
            ("Content-Type", "application/json"),
            ("MCP-Protocol-Version", version),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", tool),
            ("Authorization", f"Bearer {token()}"),
        ]
        transport = httpx2.ASGITransport(app=through)
        async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http:
            return await http.post("/mcp", content=json.dumps(asked).encode(), headers=headers)

    async with app.router.lifespan_context(app):
        hidden, unknown = await ask("delete_order", guard), await ask("remove_order", guard)
        of_the_server = await ask("remove_order", app)
    assert hidden.content.replace(b"delete_order", b"remove_order") == unknown.content == of_the_server.content
    assert hidden.status_code == unknown.status_code == of_the_server.status_code
    assert called == []
    assert [event.decision for event in world.events] == ["deny", "deny"]
    assert {event.target for event in world.events} == {"delete_order", "remove_order"}


@pytest.mark.req("TOK-07")
@pytest.mark.parametrize(
    ("value", "status"), [("3", 200), ("=?base64?Mw==?=", 200), ("4", 400), ("=?base64?NA==?=", 400)]
)
async def test_a_header_that_copies_an_argument_agrees_with_it(world: World, value: str, status: int) -> None:
    response = await world.send(token(), call("update_stock", quantity=3), headers=[("Mcp-Param-Quantity", value)])
    assert response.status_code == status
    assert len(world.received) == (status == 200)


@pytest.mark.req("LIM-01")
async def test_a_header_the_guard_decides_by_is_there_once(world: World) -> None:
    for name in ("Host", "Mcp-Method", "Content-Type", "Mcp-Param-X"):
        response = await world.send(token(), call("list_menu"), headers=[(name, "tools/call"), (name, "tools/call")])
        assert response.status_code == 400, name
    assert world.received == []


def test_an_admission_names_all_that_ends_it(world: World) -> None:
    async def admitted() -> Any:
        from verifier.http import bearer_alone

        return await world.verifier().admit(bearer_alone(token(id="t", actors=("did:key:z6MkActor",))))

    admission = asyncio.run(admitted())
    assert set(admission.revocable_ids) >= {"urn:uuid:c1", "t", "did:key:z6MkActor"}
    bound = replace(admission, caller=replace(admission.caller, task="task:1"))
    assert "task:1" in bound.revocable_ids
