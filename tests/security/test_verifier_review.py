"""What a server could read otherwise than its guard, and who is revoked while a request is under way."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, cast

import httpx2
import pytest
from fastapi import Body, Depends, FastAPI

from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import StoreUnavailable
from did_agent.policy.decide import Decision
from tests.fakes.guard_world import AGENT, BRIDGE, ISSUER, OTHER, RESOURCE, World, call, token
from verifier.adapters.upstream import Upstream
from verifier.doors.presentation import PresentationDoor
from verifier.frameworks import fastapi as for_fastapi
from verifier.gates import Asked
from verifier.http import bearer_alone
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.mcp.hiding import disguised
from verifier.mcp.sessions import MAX_EACH, MAX_SESSIONS, Sessions
from verifier.mcp.swapping import addresses
from verifier.parts import GuardParts
from verifier.proxy import authorization
from verifier.proxy.forward import _passed_on
from verifier.swap import Swap

# Read as UTF-8 this calls list_menu; read as UTF-7, as some servers do when told so, it calls update_stock.
TWO_READINGS = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_menu","arguments":{"x":'
    b'"+ACIAfQAs-+ACI-name+ACI-:+ACI-update_stock+ACI-,+ACI-arguments+ACI-:{+ACI-quantity+ACI-:9,+ACI-y+ACI-:+ACI-"}}}'
)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize(
    "header",
    [
        ("Content-Type", "application/json; charset=utf-7"),
        ("Content-Type", 'application/json;CHARSET="UTF-7"'),
        ("Content-Type", "application/json; x=1; charset=utf-16"),
        ("Content-Encoding", "br"),
    ],
)
async def test_a_body_whose_headers_tell_the_server_to_read_it_otherwise_goes_no_further(
    world: World, header: tuple[str, str]
) -> None:
    assert json.loads(TWO_READINGS)["params"]["name"] == "list_menu"
    assert json.loads(TWO_READINGS.decode("utf-7"))["params"]["name"] == "update_stock"
    response = await world.send(token(), content=TWO_READINGS, headers=[header])
    assert response.status_code == 400
    assert world.received == []


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Type", "application/json"),
        ("Content-Type", 'Application/JSON; Charset="UTF-8"'),
        ("Content-Type", "application/json;charset=utf-8"),
        ("Content-Encoding", "identity"),
    ],
)
async def test_a_body_in_plain_utf_8_goes_through(world: World, header: tuple[str, str]) -> None:
    response = await world.send(token(), call("list_menu"), headers=[header])
    assert response.status_code == 200
    assert len(world.received) == 1


async def sent(world: World, method: str, content: bytes | None) -> int:
    transport = httpx2.ASGITransport(app=world.guard())
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http:
        headers = {"Authorization": f"Bearer {token()}"}
        return (await http.request(method, RESOURCE, content=content, headers=headers)).status_code


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PUT", "PATCH", "QUERY"])
async def test_a_call_in_the_body_of_another_method_does_not_pass_unjudged(world: World, method: str) -> None:
    assert await sent(world, method, json.dumps(call("delete_order")).encode()) in (400, 404)
    assert world.received == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
async def test_what_has_no_body_goes_through(world: World, method: str) -> None:
    assert await sent(world, method, None) == 200
    assert len(world.received) == 1


@pytest.mark.req("REV-01")
@pytest.mark.parametrize("is_revoked", [True, False])
async def test_who_is_revoked_while_a_body_is_on_its_way_calls_nothing(world: World, is_revoked: bool) -> None:
    shown, status = token(), []
    body = json.dumps(call("list_menu")).encode()
    pieces = [body[:9], body[9:]]

    async def receive() -> Any:
        piece = pieces.pop(0)
        if is_revoked and not pieces:
            world.ended.add("urn:uuid:c1")
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        status.append(message.get("status"))

    headers = [(b"authorization", f"Bearer {shown}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    await world.guard()(scope, receive, send)
    assert status[0] == (401 if is_revoked else 200)
    assert [event.decision for event in world.events] == ["deny" if is_revoked else "allow"]
    assert len(world.received) == (0 if is_revoked else 1)


@pytest.mark.req("DEL-12")
def test_names_that_some_servers_take_for_others_are_not_passed_on() -> None:
    shown = [(b"mcp_session_id", b"of somebody else"), (b"did_agent_caller", b"x"), (b"mcp-session-id", b"mine")]
    assert list(_passed_on(shown)) == [(b"mcp-session-id", b"mine")]


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize("is_unasked", [True, False])
async def test_an_answer_nobody_asked_for_is_nobodys_answer(is_unasked: bool) -> None:
    said, connections = asyncio.Event(), 0

    async def behind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await asyncio.sleep(0.05)
                if is_unasked:
                    writer.write(b"HTTP/1.1 408 Late\r\ncontent-length: 2\r\n\r\nno")
                said.set()
        writer.close()

    server = await asyncio.start_server(behind, "127.0.0.1", 0)
    upstream = Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", patience=5.0)
    try:
        for _ in range(2):
            said.clear()
            async with upstream.request("GET", b"/", [(b"host", b"x")], b"") as reply:
                assert reply.status == 200
                assert b"".join([piece async for piece in reply.body()]) == b"ok"
            await said.wait()
            await asyncio.sleep(0.05)
    finally:
        upstream.close()
        await asyncio.sleep(0.05)
        server.close()
    assert connections == (2 if is_unasked else 1)


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize(
    ("target", "quantity", "status"), [("/stock", 3, 200), ("/stock", 10, 403), ("/stock?quantity=3", 10, 400)]
)
async def test_the_body_of_a_get_is_judged_where_the_endpoint_reads_it(
    world: World, monkeypatch: pytest.MonkeyPatch, target: str, quantity: int, status: int
) -> None:
    monkeypatch.setattr(for_fastapi, "compose", lambda **_options: world.guard()._parts)
    app, api = FastAPI(), for_fastapi.GuardedAPI(resource=RESOURCE, bridge=BRIDGE)
    api.protect(app)

    @app.get("/stock", dependencies=[Depends(api.tool("update_stock"))])
    async def stock(said: Annotated[dict[str, int], Body()]) -> dict[str, int]:
        return said

    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http,
    ):
        headers = {"Authorization": f"Bearer {token()}"}
        answer = await http.request("GET", target, json={"quantity": quantity}, headers=headers)
    assert answer.status_code == status


@pytest.mark.req("DEL-12")
async def test_who_tries_somebody_elses_session_is_on_record(world: World) -> None:
    world.session = "mine"
    guard = world.guard()
    mine = [("Mcp-Session-Id", "mine")]
    assert (await world.send(token(), call("list_menu"), guard=guard)).status_code == 200
    assert (await world.send(token(), call("list_menu"), guard=guard, headers=mine)).status_code == 200
    other = token(subject=OTHER, client_id=OTHER)
    assert (await world.send(other, call("list_menu"), guard=guard, headers=mine)).status_code == 404
    event = world.events[-1]
    assert (event.decision, event.reason, event.principal) == ("deny", "session_unknown", OTHER)


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize("body", [b"{", b'{"jsonrpc":"2.0","method":"ping","method":"tools/call"}', b"[]"])
async def test_what_an_admitted_caller_sends_that_has_no_one_meaning_is_on_record(world: World, body: bytes) -> None:
    assert (await world.send(token(), content=body)).status_code == 400
    assert [(event.decision, event.principal) for event in world.events] == [("deny", AGENT)]
    assert (await world.send(token(), {"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code == 200
    assert len(world.events) == 1


def test_nothing_of_a_hidden_call_reaches_the_server() -> None:
    shown = [(b"mcp-name", b"update_stock"), (b"Mcp-Param-Quantity", b"3"), (b"accept", b"*/*")]
    body, headers, _ = disguised(json.dumps(call("update_stock", quantity=3)).encode(), shown)
    assert json.loads(body)["params"]["arguments"] == {}
    assert headers == [(b"mcp-name", json.loads(body)["params"]["name"].encode()), (b"accept", b"*/*")]


@pytest.mark.req("DEL-12")
@pytest.mark.parametrize("path", addresses("/mcp"))
async def test_where_200_lets_a_request_through_nobody_gets_it_without_a_credential(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    # A server that answers below its path too would run the call.
    swapping = Swap(
        door=PresentationDoor(resource=RESOURCE, trusted=TrustedIssuers.of(ISSUER), statuses=world),
        sessions=cast("Any", None),
        revocations=world,
        replay=world,
        clock=lambda: world.now,
        challenge_key=b"c" * 32,
    )
    parts = GuardParts(verifier=world.verifier(), spool=cast("Any", None), background=[], swap=swapping)
    monkeypatch.setattr(authorization, "compose", lambda **_options: parts)
    asked: Any = authorization.authorization_service(resource=RESOURCE, bridge=BRIDGE)
    assert (await world.send(None, call("delete_order"), path=path, guard=asked)).status_code == 401
    assert (await world.send(token(), call("delete_order"), path=path, guard=asked)).status_code == 404
    assert (await world.send(token(), call("list_menu"), guard=asked)).status_code == 200


class Consuming:
    """A gate that consumes something with each call."""

    def __init__(self) -> None:
        self.consumed: set[str] = set()

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        self.consumed.add(asked.request_id)
        return decision

    async def undo(self, request_id: str, *, happened: bool) -> None:
        if not happened:
            self.consumed.discard(request_id)


class Away(Consuming):
    """A gate whose store is away."""

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        raise StoreUnavailable("away")


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize("is_away", [True, False])
async def test_what_a_gate_consumed_for_a_call_that_the_next_cannot_judge_is_taken_back(
    world: World, is_away: bool
) -> None:
    gate = Consuming()
    verifier = replace(world.verifier(), gates=(gate,), limits=Away() if is_away else None)
    guard = Guard(
        world.inner,
        GuardParts(verifier=verifier, spool=cast("Any", None), background=[]),
        ResourceMetadata(resource=RESOURCE, bridge=BRIDGE),
    )
    answer = await world.send(token(), call("list_menu"), guard=guard)
    assert answer.status_code == (503 if is_away else 200)
    assert len(gate.consumed) == (0 if is_away else 1)
    assert [event.decision for event in world.events] == ["deny" if is_away else "allow"]


@pytest.mark.req("DEL-04")
@pytest.mark.parametrize(
    ("message", "status"),
    [
        (call("list_menu"), 200),
        (call("update_stock", quantity=3), 200),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, 200),
        (call("delete_order"), 403),
        (call("update_stock", quantity=99), 403),
        ({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "file:///etc"}}, 403),
        ({"jsonrpc": "2.0", "id": 1, "method": "of_no_family"}, 403),
    ],
)
async def test_a_proxy_that_takes_200_for_a_yes_gets_none_for_what_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, message: object, status: int
) -> None:
    monkeypatch.setattr(authorization, "compose", lambda **_options: world.guard()._parts)
    asked: Any = authorization.authorization_service(resource=RESOURCE, bridge=BRIDGE)
    answer = await world.send(token(), message, guard=asked)
    assert answer.status_code == status
    assert ("x-envoy-auth-headers-to-remove" in answer.headers) is (status == 200)
    metadata = await world.send(None, method="GET", path="/.well-known/oauth-protected-resource/mcp", guard=asked)
    assert metadata.json()["resource"] == RESOURCE


@pytest.mark.req("DEL-12")
def test_whoever_chooses_session_ids_pushes_out_only_its_own() -> None:
    def somebody(name: str) -> Any:
        return type("Somebody", (), {"principal": name, "actors": (), "client_id": name})()

    sessions, victim, flood = Sessions(first_use=True), somebody("victim"), somebody("flood")
    assert sessions.belongs("mine", victim)
    for number in range(MAX_SESSIONS + 10):
        assert sessions.belongs(f"chosen {number}", flood)
    assert not sessions.belongs("mine", flood)
    assert sessions.belongs("mine", victim)
    assert len(sessions._owners) == MAX_EACH + 1


class _Spends:
    """A gate that says what was given back, and may fail to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.undone = fails, list[bool]()

    async def judge(self, _asked: Any, decision: Any) -> Any:
        return decision

    async def undo(self, _request_id: str, *, happened: bool) -> None:
        self.undone.append(happened)
        if self.fails:
            raise StoreUnavailable("away")


@pytest.mark.req("DEL-05")
async def test_a_call_that_is_given_up_before_its_record_costs_nothing() -> None:
    world, first, second = World(), _Spends(fails=True), _Spends()
    begun = asyncio.Event()

    async def never(_event: Any) -> None:
        begun.set()
        await asyncio.sleep(60)

    world.record = never  # type: ignore[method-assign]
    verifier = replace(world.verifier(), gates=(first, second))
    admission = await verifier.admit(bearer_alone(token()))
    deciding = asyncio.create_task(verifier.decide(admission, tool="list_menu", arguments={}, request_id="r"))
    await asyncio.wait_for(begun.wait(), 5)
    deciding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deciding
    assert (first.undone, second.undone) == ([False], [False])
