"""JSON presentations swapped for sessions at the guard: the same caller, once for each challenge, and no longer than it stands."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.credential.issuance import issue
from did_agent.credential.status import (
    MIN_LIST_BYTES,
    StatusEntry,
    VerifiedStatusList,
    build_status_list_credential,
    verify_status_list,
    with_bit,
)
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import StoreUnavailable
from did_agent.keys.jwk import thumbprint
from did_agent.presentation.present import present
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.dpop import make_proof
from tests.fakes.forms_world import FormsWorld
from tests.fakes.guard_world import (
    AGENT_KEY,
    BRIDGE,
    ISSUER,
    ISSUER_KEY,
    NOW,
    OTHER,
    OTHER_KEY,
    RESOURCE,
    call,
    credential,
    presentation,
)
from verifier.adapters.presented import PresentedSessions
from verifier.model import PresentedSession

JSON = ("Content-Type", "application/json")
LIST = "https://issuer.example/status/1"
CHALLENGE, SESSION = "/mcp/.did-agent/challenge", "/mcp/.did-agent/session"


async def post(
    world: FormsWorld, path: str, content: bytes = b"", headers: Any = (JSON,), method: str = "POST"
) -> httpx2.Response:
    return await world.send(None, path=path, content=content, headers=list(headers), method=method)


async def challenge(world: FormsWorld) -> str:
    answer = (await post(world, CHALLENGE)).json()
    assert (answer["domain"], answer["expires_in"]) == (RESOURCE, 120)
    return str(answer["challenge"])


def vp(
    challenge: str, *documents: dict[str, Any], key: Any = AGENT_KEY, audience: str = RESOURCE, now: Any = NOW
) -> bytes:
    shown = present(documents or [credential()], key=key, audience=audience, challenge=challenge, now=now)
    return json.dumps(shown).encode()


async def opened(world: FormsWorld, *documents: dict[str, Any], headers: Any = (JSON,)) -> dict[str, Any]:
    response = await post(world, SESSION, vp(await challenge(world), *documents, now=world.now), headers)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return dict(response.json())


def by_a_stranger() -> dict[str, Any]:
    document = {name: value for name, value in credential().items() if name != "proof"}
    return issue({**document, "issuer": OTHER}, OTHER_KEY, now=NOW)


@pytest.fixture
def world(tmp_path: Path) -> FormsWorld:
    return FormsWorld(data=tmp_path)


async def test_a_session_is_the_same_caller_as_its_credentials_in_any_other_form(world: FormsWorld) -> None:
    document = credential()
    session = await opened(world, document)
    assert (session["token_type"], session["expires_in"]) == ("Bearer", 300)
    assert world.events[-1].action == "session.open"
    for _ in range(2):
        assert (await world.send(session["access_token"], call("update_stock", quantity=3))).status_code == 200
    assert (await world.send(presentation(document), call("update_stock", quantity=3))).status_code == 200
    assert world.callers[0] == world.callers[1] == world.callers[2]
    record = world.events[1]
    assert record.details["form"] == "session"
    assert session["access_token"] not in str([event.to_json() for event in world.events])


async def test_the_metadata_says_where_to_ask(world: FormsWorld) -> None:
    document = (await world.send(None, method="GET", path="/.well-known/oauth-protected-resource/mcp")).json()
    assert document["did_agent_challenge_endpoint"] == "https://mcp.example" + CHALLENGE
    assert document["did_agent_session_endpoint"] == "https://mcp.example" + SESSION


@pytest.mark.req("VCX-01")
async def test_a_challenge_counts_once_for_two_minutes_and_is_ours(world: FormsWorld, tmp_path: Path) -> None:
    one = await challenge(world)
    shown = vp(one)
    assert (await post(world, SESSION, shown)).status_code == 200
    assert (await post(world, SESSION, shown)).status_code == 401
    assert world.events[-1].reason == "replayed"
    again = await post(world, SESSION, vp(one, credential(subject=OTHER), key=OTHER_KEY))
    assert (again.status_code, world.events[-1].reason) == (401, "replayed")  # of another holder too
    for other in ("made up", ""):
        assert (await post(world, SESSION, vp(other or "x"))).status_code == 401
        assert world.events[-1].reason == "wrong_challenge"
    late = await challenge(world)
    world.now = NOW + timedelta(seconds=120)
    assert (await post(world, SESSION, vp(late, now=world.now))).status_code == 401
    assert world.events[-1].reason == "wrong_challenge"
    await opened(world)


@pytest.mark.req("VCX-01")
async def test_one_answer_to_a_challenge_counts_however_many_arrive_at_once(world: FormsWorld) -> None:
    shown = vp(await challenge(world))
    answers = await asyncio.gather(*(post(world, SESSION, shown) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


@pytest.mark.req("VCX-02", "VCX-03", "VCX-05", "TOK-07")
async def test_what_does_not_hold_is_not_swapped_and_spends_no_challenge(world: FormsWorld) -> None:
    one = await challenge(world)
    spoiled = json.loads(vp(one))
    spoiled["proof"]["domain"] = BRIDGE
    wrong = {
        "wrong_audience": vp(one, audience=BRIDGE),
        "bad_signature": json.dumps(spoiled).encode(),
        "holder_mismatch": vp(one, credential(subject=OTHER)),
        "malformed_presentation": json.dumps(
            present([], key=AGENT_KEY, audience=RESOURCE, challenge=one, now=NOW)
        ).encode(),
        "issuer_not_trusted": vp(one, by_a_stranger()),
        "expired": vp(one, now=NOW - timedelta(minutes=6)),
    }
    for reason, content in wrong.items():
        response = await post(world, SESSION, content)
        assert response.status_code in (400, 401), reason
        assert world.events[-1].reason == reason
    assert (await post(world, SESSION, vp(one))).status_code == 200


@pytest.mark.req("TOK-05", "LIM-01")
async def test_what_cannot_be_read_is_refused(world: FormsWorld) -> None:
    one = await challenge(world)
    assert (await post(world, SESSION, vp(one), [("Content-Type", "text/plain")])).status_code == 400
    assert (await post(world, SESSION, vp(one), [])).status_code == 400
    assert (await post(world, SESSION, presentation().encode())).status_code == 400
    assert (await post(world, SESSION, b"{")).status_code == 400
    assert (await post(world, SESSION, b'{"a":1,"a":2}')).status_code == 400
    assert (await post(world, SESSION, b'{"a":"' + b"x" * 300_000 + b'"}')).status_code == 413
    for path in (CHALLENGE, SESSION):
        refused = await post(world, path, method="GET")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert world.received == []
    assert (await post(world, SESSION, vp(one))).status_code == 200


@pytest.mark.req("REV-01", "VCX-10")
async def test_each_request_looks_at_everything_behind_the_session(world: FormsWorld) -> None:
    session = (await opened(world))["access_token"]
    assert (await world.send(session, call("list_menu"))).status_code == 200
    world.ended.add(world.callers[0].credential_ids[0])
    assert (await world.send(session, call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "revoked"
    world.ended = {world.callers[0].client_id}
    assert (await world.send(session, call("list_menu"))).status_code == 401
    refused = await post(world, SESSION, vp(await challenge(world)))
    assert (refused.status_code, world.events[-1].reason) == (401, "revoked")


def revocation_list(*revoked: int) -> VerifiedStatusList:
    bits = bytes(MIN_LIST_BYTES)
    for index in revoked:
        bits = with_bit(bits, index, value=True)
    document = build_status_list_credential(
        url=LIST,
        issuer=ISSUER,
        purpose="revocation",
        bits=bits,
        valid_from=NOW - timedelta(minutes=1),
        valid_until=NOW + timedelta(minutes=5),
        ttl_ms=30_000,
    )
    signed = issue(document, ISSUER_KEY, now=NOW)
    return verify_status_list(signed, expected_url=LIST, trusted_issuers=TrustedIssuers.of(ISSUER), now=NOW)


@pytest.mark.req("VCX-10", "FCL")
async def test_each_request_looks_at_the_status_lists_too(world: FormsWorld) -> None:
    lists = {LIST: revocation_list()}

    async def get(_urls: Any) -> Any:
        return lists

    world.get = get  # type: ignore[method-assign]
    session = (await opened(world, credential(statuses=[StatusEntry(purpose="revocation", list_url=LIST, index=7)])))[
        "access_token"
    ]
    assert (await world.send(session, call("list_menu"))).status_code == 200
    lists[LIST] = revocation_list(7)
    assert (await world.send(session, call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "revoked"
    lists.clear()
    assert (await world.send(session, call("list_menu"))).status_code == 503


@pytest.mark.req("VCX-11")
async def test_a_session_ends_after_five_minutes_and_with_its_chain(world: FormsWorld) -> None:
    session = (await opened(world))["access_token"]
    world.now = NOW + timedelta(seconds=299)
    assert (await world.send(session, call("list_menu"))).status_code == 200
    world.now = NOW + timedelta(seconds=300)
    assert (await world.send(session, call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "expired"
    short = await opened(world, credential(valid_until=world.now + timedelta(seconds=40)))
    assert short["expires_in"] == 40
    world.now += timedelta(seconds=40)
    assert (await world.send(short["access_token"], call("list_menu"))).status_code == 401


@pytest.mark.req("TOK-09", "TOK-10")
async def test_a_session_asked_for_with_a_proof_is_bound_to_its_key(world: FormsWorld) -> None:
    url = "https://mcp.example" + SESSION
    proof = ("DPoP", make_proof(AGENT_KEY, method="POST", url=url, now=NOW))
    session = await opened(world, headers=(JSON, proof))
    assert session["token_type"] == "DPoP"
    text = session["access_token"]
    assert (await world.send(text, call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "sender_not_proven"
    other = world.proof(text, key=OTHER_KEY)
    assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[other])).status_code == 401
    own = world.proof(text)
    assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[own])).status_code == 200
    assert (await world.send(text, call("list_menu"), scheme="DPoP", headers=[own])).status_code == 401
    replayed = await post(world, SESSION, vp(await challenge(world)), (JSON, proof))
    assert (replayed.status_code, world.events[-1].reason) == (401, "invalid_dpop_proof")
    elsewhere = ("DPoP", make_proof(AGENT_KEY, method="POST", url=RESOURCE, now=NOW))
    assert (await post(world, SESSION, vp(await challenge(world)), (JSON, elsewhere))).status_code == 401
    loose = (await opened(world))["access_token"]
    unbound = await world.send(loose, call("list_menu"), scheme="DPoP", headers=[world.proof(loose)])
    assert (unbound.status_code, world.events[-1].reason) == (401, "invalid_dpop_proof")


@pytest.mark.req("TOK-09")
async def test_a_session_asked_for_with_a_certificate_is_bound_to_it(world: FormsWorld) -> None:
    own = world.with_certificate(b"its certificate")
    shown = vp(await challenge(world))
    opening = await world.send(None, path=SESSION, content=shown, headers=[JSON], guard=own)
    text = opening.json()["access_token"]
    assert opening.json()["token_type"] == "Bearer"
    assert (await world.send(text, call("list_menu"), guard=own)).status_code == 200
    for other in (world.guard(), world.with_certificate(b"another")):
        assert (await world.send(text, call("list_menu"), guard=other)).status_code == 401
        assert world.events[-1].reason == "sender_not_proven"


@pytest.mark.req("TOK-09")
async def test_where_proofs_are_demanded_a_session_is_bound_too(tmp_path: Path) -> None:
    world = FormsWorld(data=tmp_path, settings={"vp_mode": "dpop"})
    one = await challenge(world)
    refused = await post(world, SESSION, vp(one))
    assert (refused.status_code, world.events[-1].reason) == (401, "sender_not_proven")
    proof = ("DPoP", make_proof(AGENT_KEY, method="POST", url="https://mcp.example" + SESSION, now=NOW))
    assert (await post(world, SESSION, vp(one), (JSON, proof))).json()["token_type"] == "DPoP"


async def test_a_session_nobody_opened_is_nobody(world: FormsWorld) -> None:
    for text in ("vps_", "vps_" + "x" * 43, "vps_'OR'1'='1"):
        assert (await world.send(text, call("list_menu"))).status_code == 401
        assert world.events[-1].reason == "expired"


@pytest.mark.req("AUD-01")
async def test_what_cannot_be_recorded_is_not_swapped(world: FormsWorld) -> None:
    shown = vp(await challenge(world))
    world.full = True
    assert (await post(world, SESSION, shown)).status_code == 503
    world.full = False
    # The challenge is spent; nothing else happened.
    assert (await post(world, SESSION, shown)).status_code == 401


async def test_another_process_with_the_same_folder_knows_the_session(world: FormsWorld, tmp_path: Path) -> None:
    session = (await opened(world))["access_token"]
    second = FormsWorld(data=tmp_path)
    assert (await second.send(session, call("list_menu"))).status_code == 200
    elsewhere = FormsWorld(data=tmp_path / "elsewhere")
    assert (await elsewhere.send(session, call("list_menu"))).status_code == 401


def kept(number: int, *, holder: str = "did:example:a", seconds: int = 300) -> PresentedSession:
    return PresentedSession(
        id=f"s{number}",
        holder=holder,
        credentials=({"id": "urn:c"},),
        confirmation=Confirmation(jkt=thumbprint(AGENT_KEY.public)) if number % 2 else None,
        expires=NOW + timedelta(seconds=seconds),
    )


@pytest.mark.req("LIM-01")
async def test_so_many_sessions_are_kept_of_one_holder_and_in_all(tmp_path: Path) -> None:
    store = PresentedSessions(tmp_path / "s.db", clock=lambda: NOW, max_sessions=5, max_of_holder=3)
    for number in range(4):
        await store.save(kept(number, seconds=100 + number))
    assert [await store.find(f"s{number}") is not None for number in range(4)] == [False, True, True, True]
    assert await store.find("s3") == kept(3, seconds=103)
    for number in range(4, 8):
        await store.save(kept(number, holder=f"did:example:{number}", seconds=200 + number))
    assert [number for number in range(8) if await store.find(f"s{number}")] == [3, 4, 5, 6, 7]
    store.close()
    with pytest.raises(StoreUnavailable):
        await store.save(kept(9))
    with pytest.raises(StoreUnavailable):
        await store.find("s3")
    with pytest.raises(StoreUnavailable):
        PresentedSessions(tmp_path / "s.db" / "under a file", clock=lambda: NOW)
