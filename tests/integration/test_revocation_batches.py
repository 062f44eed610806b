"""Much that ends at once: told to the bridge in batches, kept and heard like one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.party import listen, serving
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.security_event import EventKind, SecurityEvent, sign_event
from tests.fakes.bridge_world import RESOURCE, World, claims_of, w
from tests.integration.test_issuer_news import Bridge, news_of, notice, put, storage

__all__ = ["w"]

BATCH = "/revocations/batch"


def signed(w: World, kind: EventKind, subject: str, *, id: str, key: SigningKey | None = None) -> str:
    key = key or w.issuer.key
    did = did_key(key.public)
    event = SecurityEvent(
        id=id, kind=kind, subject=subject, issued_at=w.clock(), reason="a test", issuer=did, audience=w.url
    )
    return sign_event(event, key=key, kid=f"{did}#{did.removeprefix('did:key:')}")


async def test_a_batch_is_heard_in_order_once_and_in_one_audit_event(w: World) -> None:
    sets = [signed(w, "agent-suspended", f"did:key:z{number}", id=f"e{number}") for number in range(5)]
    for _ in range(2):
        assert (await w.http.post(BATCH, json={"sets": [*sets, sets[0]]})).status_code == 202
    answer = (await w.http.get("/revocations?after=0")).json()
    assert [claims_of(item["set"])["sub_id"]["uri"] for item in answer["sets"]] == [
        f"did:key:z{number}" for number in range(5)
    ]
    assert [item["seq"] for item in answer["sets"]] == [1, 2, 3, 4, 5]
    assert "a test" not in str([claims_of(item["set"]) for item in answer["sets"]])
    received = [event for event in await w.events() if event["action"] == "revocation.receive"]
    assert [event["details"] for event in received] == [{"agent-suspended": "5"}]


@pytest.mark.req("DEL-10", "REV-03")
async def test_what_a_batch_ends_gets_no_token_and_what_it_brings_back_does(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 200
    sets = [signed(w, "agent-suspended", agent.did, id="1"), signed(w, "agent-suspended", "did:key:zB", id="2")]
    assert (await w.http.post(BATCH, json={"sets": sets})).status_code == 202
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 401
    both = [signed(w, "agent-suspended", agent.did, id="3"), signed(w, "agent-resumed", agent.did, id="4")]
    assert (await w.http.post(BATCH, json={"sets": both})).status_code == 202
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 200
    ended = [signed(w, "agent-retired", agent.did, id="5"), signed(w, "agent-resumed", agent.did, id="6")]
    assert (await w.http.post(BATCH, json={"sets": ended})).status_code == 202
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 401


@pytest.mark.req("REV-03", "FCL")
async def test_one_event_that_is_not_believed_spoils_its_batch(w: World) -> None:
    good = signed(w, "agent-suspended", "did:key:zA", id="1")
    stranger = signed(w, "agent-suspended", "did:key:zB", id="2", key=SigningKey.from_seed(b"s" * 32))
    own: Any = signed(w, "task-completed", "t", id="3")
    bodies: tuple[dict[str, Any], ...] = (
        {"sets": [good, stranger]}, {"sets": [good, good[:-4] + "AAAA"]}, {"sets": [good, own]}, {"sets": []},
        {"sets": [good] * 401}, {"sets": good}, {"sets": [good], "surprise": 1}, {"sets": [good], "more": "yes"},
    )  # fmt: skip
    for body in bodies:
        refused = await w.http.post(BATCH, json=body)
        assert (refused.status_code, "err" in refused.json()) == (400, True), body
    assert (await w.http.get("/revocations?after=0")).json()["sets"] == []
    assert (await w.http.post(BATCH, json={"sets": [good]})).status_code == 202


async def test_a_verifier_is_waited_for_after_the_last_batch_alone(w: World) -> None:
    waiting = asyncio.create_task(w.http.get("/revocations?after=0&wait=5&subscriber=verifier-1"))
    await asyncio.sleep(0)
    first = {"sets": [signed(w, "agent-suspended", "did:key:zA", id="1")], "more": True}
    assert (await w.http.post(BATCH, json=first)).status_code == 202
    assert len((await waiting).json()["sets"]) == 1


async def test_the_issuer_sends_many_notices_in_few_requests(tmp_path: Path) -> None:
    bridge, listener = Bridge(), listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with storage(tmp_path) as engine, serving([(bridge, listener)]):
        await put(engine, *(notice(number, reason="é" * 256) for number in range(601)))
        assert await news_of(engine, url).push()
        assert await news_of(engine, url).push()
    bodies: list[dict[str, Any]] = [
        dict(parse_object(body)) for kind, body in bridge.received if kind == "application/json"
    ]
    sent = [text for body in bodies for text in body["sets"]]
    assert len(sent) == len(set(sent)) == 601
    assert [body["more"] for body in bodies] == [True] * (len(bodies) - 1) + [False]
    assert all(len(body) < 262_144 for _, body in bridge.received)
