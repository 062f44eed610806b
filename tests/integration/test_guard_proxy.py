"""The guard as a reverse proxy and as somebody a proxy asks: over real HTTP, before a server that knows nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from did_agent.adapters.party import listen, serving
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured, TooLarge, VerificationError
from tests.fakes.guard_world import AGENT, OTHER_KEY, RESOURCE, World, call, credential, presentation, token
from verifier.adapters.upstream import Upstream
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.proxy import authorization
from verifier.proxy.command import _app
from verifier.proxy.forward import Forward
from verifier.statement import Statements, verify_statement


@dataclass
class Behind:
    """A server in some other language, as far as HTTP can tell."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.connections.add(scope["client"])
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self.seen.append({"target": target, "headers": headers, "body": message.get("body", b"")})
        behave = getattr(self, headers.get("x-behave", "answer"))
        await behave(json.loads(message.get("body") or b"{}"), receive, send)

    async def answer(self, asked: Any, _receive: Any, send: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": {"ok": True}}).encode()
        headers = [(b"content-type", b"application/json"), (b"x-of-the-server", b"1"), (b"connection", b"x-own")]
        headers += [(b"mcp-session-id", b"s1"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def stream(self, _asked: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"data: last\n\n"})

    async def wait_until_left(self, _asked: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        self.gone.set()

    async def break_off(self, _asked: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    async def think(self, _asked: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(30)


@dataclass
class Stage:
    world: World
    behind: Behind
    url: str
    http: httpx2.AsyncClient
    guard: Guard

    async def send(self, message: object, *, behave: str = "answer", **headers: str) -> httpx2.Response:
        request = self.request(message, behave=behave, **headers)
        return await self.http.send(request)

    def request(self, message: object, *, behave: str = "answer", **headers: str) -> httpx2.Request:
        sent = {"Authorization": f"Bearer {token()}", "X-Behave": behave, **headers}
        return self.http.build_request("POST", self.url, json=message, headers=sent)


@asynccontextmanager
async def staged(*, patience: float = 30.0, answering: bool = False) -> AsyncIterator[Stage]:
    world, behind = World(), Behind()
    server, guard = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.getsockname()[1]}"
    parts, metadata = world.guard()._parts, ResourceMetadata(resource=RESOURCE, bridge="https://bridge.example")
    if answering:
        monkeypatched = pytest.MonkeyPatch()
        monkeypatched.setattr(authorization, "compose", lambda **_options: parts)
        app = authorization.authorization_service(resource=RESOURCE, bridge="https://bridge.example")
        monkeypatched.undo()
    else:
        app = Guard(Forward(f"{origin}/other", path="/mcp", patience=patience), parts, metadata)
    async with (
        serving([(behind, server), (app, guard)]),
        httpx2.AsyncClient(trust_env=False, timeout=10) as http,
    ):
        yield Stage(world, behind, f"http://127.0.0.1:{guard.getsockname()[1]}/mcp", http, app)


@pytest.mark.req("DEL-13")
async def test_a_call_goes_through_whole_and_without_what_was_for_the_guard() -> None:
    async with staged() as stage:
        headers = {"DPoP": "x", "X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4", "Did-Agent-Caller": "me"}
        headers |= {"Connection": "keep-alive, X-Hop", "X-Hop": "1", "X-Kept": "yes"}
        response = await stage.send(call("update_stock", quantity=3), **headers)
        assert response.json() == {"jsonrpc": "2.0", "id": 7, "result": {"ok": True}}
        assert response.headers["x-of-the-server"] == "1"
        (seen,) = stage.behind.seen
        assert json.loads(seen["body"]) == call("update_stock", quantity=3)
        assert seen["target"] == "/other"
        assert seen["headers"]["x-kept"] == "yes"
        assert seen["headers"]["host"].startswith("127.0.0.1:")
        refused = {"authorization", "dpop", "x-forwarded-for", "forwarded", "did-agent-caller", "x-hop"}
        assert not refused & seen["headers"].keys()
        assert stage.world.events[-1].decision == "allow"


async def test_what_is_refused_never_arrives_behind() -> None:
    async with staged() as stage:
        assert (await stage.send(call("delete_order"))).json()["result"]["isError"] is True
        assert (await stage.send(call("list_menu"), Authorization="Bearer nonsense")).status_code == 401
        assert (await stage.http.get(stage.url.replace("/mcp", "/admin"), headers=_shown())).status_code == 404
        assert (await stage.http.request("OPTIONS", stage.url, headers=_shown())).status_code == 405
        assert stage.behind.seen == []


def _shown() -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


async def test_connections_are_used_again() -> None:
    async with staged() as stage:
        for number in range(5):
            assert (await stage.send(call("update_stock", quantity=number))).status_code == 200
        assert len(stage.behind.connections) == 1
        several = [stage.send(call("list_menu")) for _ in range(8)]
        assert {response.status_code for response in await asyncio.gather(*several)} == {200}


async def test_a_stream_arrives_as_it_is_sent() -> None:
    async with staged() as stage:
        asked = stage.request(call("list_menu"), behave="stream")
        response = await stage.http.send(asked, stream=True)
        pieces = response.aiter_raw()
        assert await anext(pieces) == b"data: first\n\n"
        stage.behind.go_on.set()
        assert [piece async for piece in pieces] == [b"data: last\n\n"]


async def test_who_leaves_ends_the_work_behind() -> None:
    async with staged() as stage:
        asked = stage.request(call("list_menu"), behave="wait_until_left")
        response = await stage.http.send(asked, stream=True)
        assert await anext(response.aiter_raw()) == b": here\n\n"
        await response.aclose()
        await asyncio.wait_for(stage.behind.gone.wait(), 5)


@pytest.mark.req("REV-01")
async def test_a_stream_of_who_was_revoked_is_cut_on_both_sides() -> None:
    async with staged() as stage:
        asked = stage.request(call("list_menu"), behave="wait_until_left")
        response = await stage.http.send(asked, stream=True)
        pieces = response.aiter_raw()
        assert await anext(pieces) == b": here\n\n"
        stage.guard._parts.streams.cut("urn:uuid:c1")
        assert [piece async for piece in pieces] == []
        await asyncio.wait_for(stage.behind.gone.wait(), 5)


@pytest.mark.parametrize(("behave", "patience"), [("think", 0.2), ("answer", 0.0)])
async def test_a_server_that_does_not_answer_is_a_clear_error(behave: str, patience: float) -> None:
    async with staged(patience=patience) as stage:
        response = await stage.send(call("list_menu"), behave=behave)
        assert (response.status_code, response.json()["code"]) == (502, "upstream_unavailable")


async def test_half_an_answer_does_not_look_like_a_whole_one(caplog: pytest.LogCaptureFixture) -> None:
    async with staged() as stage:
        with pytest.raises(httpx2.HTTPError):
            await stage.send(call("list_menu"), behave="break_off")
        assert (await stage.send(call("list_menu"))).status_code == 200


async def test_a_server_that_is_away_or_came_back_is_told_apart() -> None:
    behind, world = Behind(), World()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    forward = Forward(f"http://127.0.0.1:{port}/mcp", path="/mcp")
    guard = Guard(forward, world.guard()._parts, ResourceMetadata(resource=RESOURCE, bridge="https://b.example"))
    async with serving([(behind, listener)]):
        assert (await world.send(token(), call("list_menu"), guard=guard)).status_code == 200
    assert (await world.send(token(), call("list_menu"), guard=guard)).status_code == 502
    async with serving([(behind, listen("127.0.0.1", port))]):
        assert (await world.send(token(), call("list_menu"), guard=guard)).status_code == 200
    forward._upstream.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("url", ["ftp://x", "localhost:80", "http://", "http://user@x/"])
def test_an_upstream_is_a_url(url: str) -> None:
    with pytest.raises(Misconfigured):
        Upstream(url, patience=1)


def test_a_guard_is_not_its_own_server() -> None:
    with pytest.raises(Misconfigured, match="guard itself"):
        _app(upstream=RESOURCE, resource=RESOURCE, patience=1, data=None, ledger=None)
    with pytest.raises(Misconfigured, match="hides tools"):
        _app(upstream=None, resource=RESOURCE, patience=1, data=None, ledger=None, hide_tools=True)


# ---- asked by a proxy


@pytest.mark.req("DEL-13", "TOK-07")
async def test_a_proxy_is_told_yes_no_and_what_to_leave_out() -> None:
    async with staged(answering=True) as stage:
        yes = await stage.send(call("list_menu"))
        assert (yes.status_code, yes.content) == (200, b"")
        assert {"authorization", "dpop"} <= set(yes.headers["x-envoy-auth-headers-to-remove"].split(", "))
        no = await stage.send(call("delete_order"))
        assert "x-envoy-auth-headers-to-remove" not in no.headers
        assert no.json()["result"]["isError"] is True
        nobody = await stage.http.post(stage.url, json=call("list_menu"))
        assert (nobody.status_code, "Bearer" in nobody.headers["www-authenticate"]) == (401, True)
        step_up = token(scopes=frozenset({"tool:list_menu"}))
        wants_more = await stage.send(call("update_stock", quantity=1), Authorization=f"Bearer {step_up}")
        assert wants_more.status_code == 403
        twice = presentation(credential())
        first = await stage.send(call("list_menu"), Authorization=f"Bearer {twice}")
        again = await stage.send(call("list_menu"), Authorization=f"Bearer {twice}")
        assert (first.status_code, again.status_code) == (200, 401)


@pytest.mark.req("TOK-07")
async def test_a_proxy_that_leaves_out_or_cuts_the_body_is_told_no() -> None:
    async with staged(answering=True) as stage:
        headers = {**_shown(), "Mcp-Method": "tools/call", "Mcp-Name": "list_menu"}
        assert (await stage.http.post(stage.url, headers=headers)).status_code == 400
        cut = await stage.send(call("list_menu"), **{"X-Envoy-Auth-Partial-Body": "true"})
        assert cut.status_code == 413
        assert {event.decision for event in stage.world.events} == {"deny"}
        assert stage.world.events[-1].reason == TooLarge.code


@pytest.mark.req("DEL-12")
async def test_where_answers_are_not_seen_a_session_belongs_to_whoever_uses_it_first() -> None:
    async with staged(answering=True) as stage:
        session = {"Mcp-Session-Id": "s1"}
        assert (await stage.send(call("list_menu"), **session)).status_code == 200
        other = token(subject="did:key:z6MkOther", client_id="did:key:z6MkOther")
        taken = await stage.send(call("list_menu"), Authorization=f"Bearer {other}", **session)
        assert taken.status_code == 404


# ---- telling the server who calls


@pytest.mark.req("DEL-13", "DEL-07")
async def test_the_server_can_be_told_who_calls_by_the_guard_alone() -> None:
    behind, world = Behind(), World(now=datetime.now(UTC).replace(microsecond=0))
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/other"
    statements = Statements(resource=RESOURCE, audience=url, key=OTHER_KEY, clock=lambda: world.now)
    forward = Forward(url, path="/mcp", statements=statements)
    guard = Guard(forward, world.guard()._parts, ResourceMetadata(resource=RESOURCE, bridge="https://b.example"))
    shown = token(
        issued_at=world.now,
        expires=world.now + timedelta(seconds=300),
        subject="smith",
        subject_profile="user",
        actors=(AGENT,),
        entitlements=frozenset({"tool:list_menu"}),
    )
    async with serving([(behind, listener)]):
        answer = await world.send(
            shown, call("list_menu"), guard=guard, headers=[("Did-Agent-Caller", "forged"), ("did-agent-other", "x")]
        )
        assert answer.status_code == 200
        forward._upstream.close()
    (seen,) = behind.seen
    assert "did-agent-other" not in seen["headers"]
    text, who = seen["headers"]["did-agent-caller"], did_key(OTHER_KEY.public)
    told = verify_statement(text, guard=who, audience=url, now=world.now)
    assert (told["sub"], told["sub_profile"], told["act"]["sub"]) == ("smith", "user", AGENT)  # type: ignore[index]
    assert told["decision"]["reason"] == "allowed"  # type: ignore[index]
    assert told["request_id"] == world.events[-1].request_id
    for wrong in (
        {"guard": AGENT, "audience": url, "now": world.now},
        {"guard": who, "audience": "https://elsewhere.example", "now": world.now},
        {"guard": who, "audience": url, "now": world.now + timedelta(minutes=2)},
    ):
        with pytest.raises(VerificationError):
            verify_statement(text, **wrong)
    # It opens no door.
    assert (await world.send(text, call("list_menu"))).status_code == 401
