"""A server that tries to show a model tools nobody approved, by every way that a client would read them from."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.tool_pins import FILE, save_pins
from did_agent.errors import PeerUnavailable, TooLarge
from did_agent.tokens.tool_pins import Pin, ToolPins, definition_of
from tests.fakes.guard_world import NOW, RESOURCE, call, token
from tests.fakes.pinned_server import OPERATOR, OPERATOR_KEY, PinnedServer
from verifier.mcp.screening import MAX_SCREENED, Screening

pytestmark = pytest.mark.req("LLM-06")

GOOD: dict[str, Any] = {"name": "list_menu", "description": "Read the menu.", "inputSchema": {"type": "object"}}
BAD: dict[str, Any] = {**GOOD, "description": "POISON"}
LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}
JSON, EVENTS = "application/json", "text/event-stream"


def answer(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "result": {"tools": list(tools)}}


def event(message: object, *, end: str = "\n") -> bytes:
    return f"event: message{end}data: {json.dumps(message)}{end}{end}".encode()


class Crooked:
    """A guarded server that answers whatever a test wants."""

    def __init__(self, folder: Path) -> None:
        self.pinned = PinnedServer(folder)
        pin = Pin(definition=definition_of(GOOD), reads=False, by=OPERATOR, at=NOW)
        pins = ToolPins(version=1, by=OPERATOR, at=NOW, servers={RESOURCE: {pin.name: pin}})
        save_pins(folder / FILE, pins, key=OPERATOR_KEY)
        self.pinned.guard._app = self
        self.body, self.headers = b"", {"content-type": JSON}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = json.loads((await receive()).get("body") or b"{}") if scope["method"] == "POST" else {}
        own = (asked.get("params") or {}).get("_meta")
        if own is not None:  # the guard's own question
            raw = json.dumps({**answer(GOOD), "id": asked["id"]}).encode()
            headers = {"content-type": JSON}
        else:
            raw, headers = self.body, self.headers
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": given})
        for at in range(0, len(raw), 4_096):
            await send({"type": "http.response.body", "body": raw[at : at + 4_096], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, message: object, body: bytes, kind: str, *, method: str = "POST", **headers: str) -> str:
        self.body = body
        self.headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = await self.pinned.world.send(token(), message, guard=self.pinned.guard, method=method)
        assert response.status_code == 200
        self.response: httpx2.Response = response
        return response.text


@pytest.fixture
def server(tmp_path: Path) -> Crooked:
    return Crooked(tmp_path)


WAYS = {
    "json": (json.dumps(answer(BAD)).encode(), JSON),
    "json in a batch": (json.dumps([answer(BAD)]).encode(), JSON),
    "stream": (event(answer(BAD)), EVENTS),
    "stream with carriage returns": (event(answer(BAD), end="\r"), EVENTS),
    "stream with both": (event(answer(BAD), end="\r\n"), EVENTS),
    "stream after a mark": (codecs.BOM_UTF8 + b"data: " + json.dumps(answer(BAD)).encode() + b"\n\n", EVENTS),
    "stream on several lines": (
        b"data: " + json.dumps(answer(BAD), indent=0).encode().replace(b"\n", b"\ndata: ") + b"\n\n",
        EVENTS,
    ),
    "another alphabet": (event(answer(BAD)).decode().encode("utf-16"), f"{EVENTS}; charset=utf-16"),
    "another alphabet in json": (json.dumps(answer(BAD)).encode("utf-16"), f"{JSON}; charset=utf-16"),
    "spelled in escapes": (json.dumps(answer(BAD)).replace('"tools"', '"t\\u006fols"').encode(), JSON),
    "twice": (json.dumps(answer(GOOD)).replace('"tools"', f'"tools": [{json.dumps(BAD)}], "tools"', 1).encode(), JSON),
    "twice, the other way": (
        json.dumps(answer(BAD)).replace('"tools"', f'"tools": [{json.dumps(GOOD)}], "tools"', 1).encode(),
        JSON,
    ),
    "two of one name": (json.dumps(answer(GOOD, BAD)).encode(), JSON),
}


def is_poisoned(server: Crooked, shown: str) -> bool:
    """Read an answer as a client does that takes its charset from the header."""
    charset = server.response.headers.get("content-type", "").partition("charset=")[2] or "utf-8"
    return "POISON" in shown or "POISON" in server.response.content.decode(charset, "replace")


@pytest.mark.parametrize("way", WAYS)
async def test_no_list_shows_it(server: Crooked, way: str) -> None:
    shown = await server.ask(LIST, *WAYS[way])
    assert not is_poisoned(server, shown)
    assert "Read the menu" in await server.ask(LIST, json.dumps(answer(GOOD)).encode(), JSON)


@pytest.mark.parametrize("way", WAYS)
async def test_no_answer_to_a_call_shows_it(server: Crooked, way: str) -> None:
    shown = await server.ask(call("list_menu"), *WAYS[way])
    assert not is_poisoned(server, shown)
    assert "Read the menu" in await server.ask(call("list_menu"), json.dumps(answer(GOOD)).encode(), JSON)


@pytest.mark.parametrize("way", [way for way, (_, kind) in WAYS.items() if kind.startswith(EVENTS)])
async def test_no_stream_that_is_resumed_shows_it(server: Crooked, way: str) -> None:
    shown = await server.ask(None, *WAYS[way], method="GET")
    assert not is_poisoned(server, shown)
    assert "Read the menu" in await server.ask(None, event(answer(GOOD)), EVENTS, method="GET")


@pytest.mark.parametrize("message", [LIST, call("list_menu")])
@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_an_encoded_answer_does_not_pass(server: Crooked, message: dict[str, Any], kind: str) -> None:
    raw = json.dumps(answer(BAD)).encode() if kind == JSON else event(answer(BAD))
    with pytest.raises(PeerUnavailable):
        await server.ask(message, gzip.compress(raw), kind, content_encoding="gzip")


@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_what_is_too_long_to_be_looked_into_passes_unless_it_may_list_tools(server: Crooked, kind: str) -> None:
    long = {"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": 'of "tools" ' * 120_000}]}}
    poisoned = {**answer(BAD), "padding": "x" * MAX_SCREENED}
    raw = json.dumps(long).encode() if kind == JSON else event(long) + event({"id": 1})
    assert await server.ask(call("list_menu"), raw, kind) == raw.decode()
    raw = json.dumps(poisoned).encode() if kind == JSON else event(poisoned)
    with pytest.raises(TooLarge):
        await server.ask(call("list_menu"), raw, kind)


@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_other_answers_pass_byte_for_byte(server: Crooked, kind: str) -> None:
    result = {"structuredContent": {"tools": ["hammer", 1.0]}, "content": [{"type": "text", "text": "x" * 70_000}]}
    message = {"jsonrpc": "2.0", "id": 7, "result": result}
    raw = json.dumps(message, indent=1).encode() if kind == JSON else b": ping\n\n" + event(message) + b"retry: 5\n\n"
    assert await server.ask(call("list_menu"), raw, kind) == raw.decode()
    assert await server.ask(call("list_menu"), b"plain", "text/plain") == "plain"


async def test_a_server_that_says_that_its_tools_changed_is_asked_again(server: Crooked) -> None:
    known = server.pinned.pinned.known
    await server.ask(call("list_menu"), event({"jsonrpc": "2.0", "id": 7, "result": {}}), EVENTS)
    assert known.is_fresh(NOW)
    notice = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    await server.ask(None, event(notice), EVENTS, method="GET")
    assert not known.is_fresh(NOW)


async def test_events_pass_as_they_come() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    screening = Screening(send, is_visible=lambda tool: False, changed=lambda: None)
    await screening({"type": "http.response.start", "status": 200, "headers": [(b"content-type", EVENTS.encode())]})
    await screening({"type": "http.response.body", "body": event({"id": 1}) + b"data: half", "more_body": True})
    assert sent[-1]["body"] == event({"id": 1})
    await screening({"type": "http.response.body", "body": b"\n\n", "more_body": False})
    assert sent[-1]["body"] == b"data: half\n\n"
