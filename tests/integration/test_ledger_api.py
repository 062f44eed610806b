"""The ledger over HTTP: parties write what they signed for, readers need `audit:read`, and the answers prove themselves."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from did_agent.adapters.sql import create_schema, open_database
from did_agent.adapters.web import harden
from did_agent.audit.checkpoint import verify_checkpoint
from did_agent.audit.delivery import MAX_BATCH, batch_request
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import verify_export
from did_agent.audit.merkle import is_consistent, is_included
from did_agent.did.key import did_key, parse_did_key
from did_agent.encoding import base64url
from did_agent.errors import Revoked, WrongKey
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.tokens.access_token import AccessToken, encode_access_token
from ledger.adapters.sql import SQLLog, metadata
from ledger.api.routes import ledger_api
from ledger.sealing import Sealer
from ledger.service import MAX_WAITING, LedgerService
from tests.contract.conftest import database_url
from verifier.doors.token import TokenDoor
from verifier.service import Verifier

__all__ = ["database_url"]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL, ORIGIN, BRIDGE = "https://ledger.example", "ledger.example", "https://bridge.example"
LEDGER_KEY, BRIDGE_KEY, PARTY, OTHER_PARTY, STRANGER = (
    SigningKey.from_seed(letter * 32) for letter in (b"l", b"b", b"p", b"q", b"s")
)
OPERATOR = did_key(SigningKey.from_seed(b"o" * 32).public)


@dataclass
class World:
    """A ledger, and what it hears of the bridge."""

    http: httpx2.AsyncClient
    ended: set[str]
    service: LedgerService

    async def find(self, kid: object) -> PublicKey:
        if kid != "k":
            raise WrongKey("no such key")
        return BRIDGE_KEY.public

    async def require_live(self, ids: Iterable[str], _now: datetime) -> None:
        if self.ended & set(ids):
            raise Revoked("ended")

    async def deliver(self, events: list[AuditEvent], *, key: SigningKey = PARTY, **changes: Any) -> httpx2.Response:
        now = changes.pop("now", NOW)
        url, headers, body = batch_request(
            [event.canonical().decode() for event in events],
            ledger_url=changes.pop("ledger_url", URL),
            key=key,
            now=now,
        )
        return await self.http.post(
            "/events", headers={**headers, **changes.pop("headers", {})}, content=changes.pop("content", body)
        )

    async def read(self, path: str, **token: Any) -> httpx2.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {reader(**token)}"})

    async def size(self) -> int:
        return int((await self.http.get("/readyz")).json()["size"])


@pytest.fixture
async def w(database_url: str) -> AsyncIterator[World]:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    service = LedgerService(
        log=SQLLog(engine, Sealer(LEDGER_KEY)),
        key=LEDGER_KEY,
        url=URL,
        origin=ORIGIN,
        sources=frozenset({did_key(PARTY.public), did_key(OTHER_PARTY.public)}),
        clock=lambda: NOW,
    )
    world: Any = World(http=None, ended=set(), service=service)  # type: ignore[arg-type]  # set below
    verifier = Verifier(
        resource=URL,
        source=did_key(LEDGER_KEY.public),
        party="ledger",
        doors=(TokenDoor(resource=URL, issuer=BRIDGE, keys=world),),
        revocations=world,
        audit=service,
        clock=lambda: NOW,
    )
    app = harden(ledger_api(service, verifier, did=did_key(LEDGER_KEY.public)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as http:
        world.http = http
        yield world
    await engine.dispose()


def event(number: int, *, key: SigningKey = PARTY, **changes: Any) -> AuditEvent:
    honest = AuditEvent(
        id=f"urn:uuid:{number}",
        time=NOW,
        source=did_key(key.public),
        party="verifier",
        principal="smith",
        principal_kind="user",
        actors=("did:key:zA",),
        client_id="did:key:zA",
        action="tool.call",
        target="create_order",
        resource="https://mcp.example/mcp",
        argument_digest=None,
        decision="allow",
        reason="allowed",
        explanation="because",
        policy="intersection/1",
        credential_ids=(),
        token_id=None,
        evidence=None,
        request_id=None,
        details={},
    )
    return replace(honest, **changes)


def reader(**changes: Any) -> str:
    values: dict[str, Any] = {
        "issuer": BRIDGE,
        "subject": OPERATOR,
        "subject_profile": "service",
        "audience": URL,
        "client_id": OPERATOR,
        "issued_at": NOW,
        "expires": NOW + timedelta(seconds=300),
        "id": "token-1",
        "scopes": frozenset({"audit:read"}),
        **changes,
    }
    return encode_access_token(AccessToken(**values), key=BRIDGE_KEY, kid="k")


READS = [
    "/events",
    "/checkpoint",
    "/checkpoints",
    "/proofs/inclusion?seq=1",
    "/proofs/consistency?from=1&to=2",
    "/export",
]


@pytest.mark.req("AUD-01", "AUD-04")
async def test_a_delivery_is_taken_once_however_often_it_comes(w: World) -> None:
    first = await w.deliver([event(1), event(2)])
    assert (first.status_code, first.json()) == (200, {"accepted": 2, "duplicates": 0, "size": 2})
    again = await w.deliver([event(1), event(2), event(3)])
    assert again.json() == {"accepted": 1, "duplicates": 2, "size": 3}
    changed = await w.deliver([event(4), event(2, decision="deny")])
    verdict = {"accepted": 1, "duplicates": 0, "size": 4, "refused": ["urn:uuid:2"]}
    assert (changed.status_code, changed.json()) == (200, verdict)
    (row,) = (await w.read("/events?id=urn:uuid:2")).json()["events"]
    assert row["event"]["decision"] == "allow"
    await w.deliver([event(2, decision="deny")])
    (told,) = (await w.read("/events?action=audit.deliver")).json()["events"]  # once, however often it comes
    assert (told["event"]["target"], told["event"]["reason"]) == ("urn:uuid:2", "state_conflict")


@pytest.mark.req("AUD-01", "TOK-07", "TOK-08")
async def test_only_a_party_writes_only_for_itself_and_only_what_it_signed(w: World) -> None:
    assert (await w.deliver([event(1)])).status_code == 200
    refused = {
        "a stranger": await w.deliver([event(2, key=STRANGER)], key=STRANGER),
        "for another ledger": await w.deliver([event(2)], ledger_url="https://other.example"),
        "another body": await w.deliver([event(2)], content=b'{"events":[' + event(3).canonical() + b"]}"),
        "in another's name": await w.deliver([event(2, key=OTHER_PARTY)]),
        "some in another's name": await w.deliver([event(2), event(3, key=OTHER_PARTY)]),
        "too late": await w.deliver([event(2)], now=NOW - timedelta(minutes=5)),
        "an access token": await w.deliver([event(2)], headers={"Authorization": f"Bearer {reader()}"}),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 401)
    assert (await w.http.post("/events", json={"events": []})).status_code == 401
    assert await w.size() == 1
    assert (await w.deliver([event(2, key=OTHER_PARTY)], key=OTHER_PARTY)).json()["size"] == 2


@pytest.mark.req("LIM-01", "TOK-05", "AUD-02")
async def test_a_delivery_that_is_not_one_is_refused_whole(w: World) -> None:
    async def signed(body: bytes, content_type: str = "application/json") -> httpx2.Response:
        # The token must fit the body, so that it is the body that is refused.
        text = body.decode()
        inner = text.removeprefix('{"events":[').removesuffix("]}")
        _, headers, made = batch_request([inner], ledger_url=URL, key=PARTY, now=NOW)
        assert made == body
        return await w.http.post("/events", headers={**headers, "Content-Type": content_type}, content=body)

    good = event(1).canonical()
    repeated = good.replace(b'"id":', b'"id":"urn:uuid:9","id":')
    extra = json.dumps({**json.loads(good), "extra": 1}).encode()
    for body in (b"", good + b"," + good, repeated, extra, b"1", good + b"," + extra, good.replace(b"12:00", b"25:00")):
        answer = await signed(b'{"events":[' + body + b"]}")
        assert answer.status_code == 400, body[:80]
        assert answer.json()["code"] in {"malformed_event", "duplicate_member"}
    many = [event(number) for number in range(MAX_BATCH + 1)]
    assert (await w.deliver(many)).json()["code"] == "malformed_event"
    assert (await signed(b'{"events":[' + good + b"]}", "text/plain")).status_code == 415
    assert await w.size() == 0
    assert (await w.deliver(many[:MAX_BATCH])).json()["accepted"] == MAX_BATCH


@pytest.mark.req("WEB-01", "OAU-14", "TOK-07", "AUD-01")
@pytest.mark.parametrize("path", READS)
async def test_reading_needs_a_live_token_for_this_ledger_with_its_scope(w: World, path: str) -> None:
    await w.deliver([event(1), event(2)])
    assert (await w.read(path)).status_code == 200
    before = await w.size()
    assert (await w.http.get(path)).status_code == 401
    assert (await w.read(path, audience="https://mcp.example/mcp")).status_code == 401
    assert (await w.read(path, issuer="https://evil.example")).status_code == 401
    assert (
        await w.read(path, issued_at=NOW - timedelta(hours=1), expires=NOW - timedelta(minutes=55))
    ).status_code == 401
    assert (await w.read(path, scopes=frozenset({"bridge:admin"}))).status_code == 403
    w.ended.add("token-1")
    assert (await w.read(path)).status_code == 401
    w.ended.clear()
    rows = (await w.read(f"/events?after={before}")).json()["events"]
    assert [row["event"]["action"] for row in rows] == ["audit.read"] * 6
    assert {row["event"]["decision"] for row in rows} == {"deny"}
    assert [row["event"]["reason"] for row in rows] == [
        "not_authenticated",
        "wrong_audience",
        "wrong_issuer",
        "expired",
        "insufficient_scope",
        "revoked",
    ]


async def test_rows_are_found_by_who_through_whom_what_and_how(w: World) -> None:
    denied = event(2, target="delete_order", decision="deny", reason="agent_not_capable")
    await w.deliver([event(1), denied, event(3, principal="jones", actors=("did:key:zB",))])

    async def found(query: str) -> list[int]:
        return [row["seq"] for row in (await w.read(f"/events?{query}")).json()["events"]]

    assert await found("principal=smith") == [1, 2]
    assert await found("actor=did:key:zB") == [3]
    assert await found("target=delete_order&decision=deny") == [2]
    assert await found("principal=smith&actor=did:key:zB") == []
    assert await found("after=1&limit=1") == [2]
    assert await found("newest=true&limit=2") == [2, 3]
    assert await found("target=" + "x" * 600) == []
    assert await found("target=a%00b") == []
    row = (await w.read("/events?after=1&limit=1")).json()["events"][0]
    assert row["event"] == denied.to_json()


@pytest.mark.req("OAU-05", "LIM-01")
async def test_a_question_that_can_not_be_read_is_not_answered(w: World) -> None:
    await w.deliver([event(1), event(2)])
    for path in (
        "/events?after=-1",
        "/events?limit=many",
        "/events?after=1&after=2",
        "/events?after=99999999999999999999",
        "/events?after=\u0661",
        "/proofs/inclusion",
        "/proofs/inclusion?seq=1.5",
        "/proofs/consistency?from=1",
    ):
        assert (await w.read(path)).status_code == 400, path
    for path in ("/proofs/inclusion?seq=0", "/proofs/inclusion?seq=99", "/proofs/consistency?from=2&to=1"):
        assert (await w.read(path)).status_code == 404, path
    assert (await w.read("/proofs/inclusion?seq=1")).status_code == 200


@pytest.mark.req("AUD-03", "KEY-04")
async def test_an_outsider_can_check_every_answer_with_the_public_key_alone(w: World) -> None:
    assert (await w.read("/checkpoint")).status_code == 404
    for number in range(1, 6):
        await w.deliver([event(number)])
    told = (await w.http.get("/key")).json()
    assert told == {"origin": ORIGIN, "did": did_key(LEDGER_KEY.public)}
    key = parse_did_key(told["did"])
    first = verify_checkpoint((await w.read("/checkpoint")).text, origin=ORIGIN, key=key)
    await w.deliver([event(number) for number in range(6, 12)])
    now = verify_checkpoint((await w.read("/checkpoint")).text, origin=ORIGIN, key=key)
    grown = (await w.read(f"/proofs/consistency?from={first.size}&to={now.size}")).json()["proof"]
    assert is_consistent(first.size, now.size, first.root, now.root, [base64.b64decode(node) for node in grown])
    for row in (await w.read("/events")).json()["events"]:
        proof = (await w.read(f"/proofs/inclusion?seq={row['seq']}")).json()
        path = [base64.b64decode(node) for node in proof["proof"]]
        assert is_included(base64url.decode(row["leaf"]), row["seq"] - 1, proof["size"], path, now.root)
    answer = await w.read("/export")
    assert answer.headers["content-type"].startswith("application/jsonl")
    found = verify_export(answer.content.splitlines(keepends=True), origin=ORIGIN, key=key)
    assert (found.size, found.root) == (now.size, now.root)


@pytest.mark.req("AUD-03")
async def test_every_checkpoint_is_kept_and_the_newest_is_sent_once(w: World) -> None:
    for number in range(1, 4):
        await w.deliver([event(number)])
    newest = await w.read("/checkpoint")
    headers = {"Authorization": f"Bearer {reader()}", "If-None-Match": newest.headers["etag"]}
    assert (await w.http.get("/checkpoint", headers=headers)).status_code == 304
    await w.deliver([event(4)])
    assert (await w.http.get("/checkpoint", headers=headers)).status_code == 200
    assert (await w.read("/checkpoint?size=3")).text == newest.text
    assert (await w.read("/checkpoint?size=9")).status_code == 404
    kept = (await w.read("/checkpoints?after=1&limit=2")).json()["checkpoints"]
    assert [one["size"] for one in kept] == [2, 3]
    assert kept[1]["note"] == newest.text
    earlier = verify_checkpoint(newest.text, origin=ORIGIN, key=LEDGER_KEY.public)
    proof = (await w.read("/proofs/inclusion?id=urn:uuid:2&size=3")).json()
    (row,) = (await w.read("/events?id=urn:uuid:2")).json()["events"]
    path = [base64.b64decode(node) for node in proof["proof"]]
    assert (proof["seq"], proof["size"], base64.b64decode(proof["root"])) == (2, 3, earlier.root)
    assert is_included(base64url.decode(row["leaf"]), 1, 3, path, earlier.root)


@pytest.mark.req("WEB-02", "AUD-03")
async def test_a_reader_of_an_organisation_reads_its_own_rows_alone(w: World) -> None:
    await w.deliver([event(1), event(2, details={"organisation": "acme"}), event(3, details={"organisation": "zeta"})])

    async def found(path: str) -> httpx2.Response:
        return await w.read(path, organisation="acme")

    assert [row["seq"] for row in (await found("/events")).json()["events"]] == [2]
    assert [row["seq"] for row in (await w.read("/events")).json()["events"]] == [1, 2, 3]
    for path in ("/proofs/inclusion?seq=2", "/proofs/inclusion?id=urn:uuid:2", "/checkpoint"):
        assert (await found(path)).status_code == 200, path
    for path in ("seq=1", "seq=3", "id=urn:uuid:1", "seq=4", "id=urn:uuid:4"):  # another's is as what is not there
        assert (await found(f"/proofs/inclusion?{path}")).status_code == 404, path
    lines = (await found("/export")).content
    assert b"urn:uuid:2" in lines
    assert b"urn:uuid:1" not in lines
    checked = verify_export(lines.splitlines(keepends=True), origin=ORIGIN, key=LEDGER_KEY.public, some_withheld=True)
    assert (checked.size, checked.withheld) == (3, 2)


@pytest.mark.req("LIM-01")
async def test_a_ledger_that_is_behind_asks_to_come_back(w: World) -> None:
    places = [w.service.queue.place() for _ in range(MAX_WAITING)]
    for place in places:
        place.__enter__()
    behind = await w.deliver([event(1)])
    assert (behind.status_code, behind.json()["code"]) == (429, "too_many_pending")
    places[0].__exit__(None, None, None)
    assert (await w.deliver([event(1)])).status_code == 200


@pytest.mark.req("TOK-15", "OPS-03")
async def test_answers_are_not_stored_and_liveness_needs_nobody(w: World) -> None:
    assert (await w.http.get("/livez")).json() == {"status": "ok"}
    assert (await w.http.get("/readyz")).json() == {"status": "ok", "parts": {}, "size": 0}
    answer = await w.read("/events")
    assert "no-store" in answer.headers["cache-control"]
    in_the_url = await w.http.get("/events?access_token=" + reader())
    assert in_the_url.status_code == 400
    assert "eyJ" not in in_the_url.text
