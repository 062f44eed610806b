"""A presentation beside proofs of its holder's key, a presentation for one request, and never one taken for the other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.agent import Agent
from did_agent.did.key import did_key
from did_agent.errors import BadPresentation, NotBound
from did_agent.presentation.present import present_jwt
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.dpop import make_proof
from did_agent.wallet import Wallet
from tests.fakes.forms_world import FormsWorld
from tests.fakes.guard_world import AGENT_KEY, BRIDGE, NOW, OTHER_KEY, RESOURCE, call, credential

PROOF = "DPoP"


def world(tmp_path: Path, **settings: Any) -> FormsWorld:
    return FormsWorld(data=tmp_path, settings=settings)


def shown(*, bound: bool = True, lifetime: int = 300, audience: str = RESOURCE) -> str:
    return present_jwt([credential()], key=AGENT_KEY, audience=audience, now=NOW, bound=bound, lifetime=lifetime)


async def send(there: FormsWorld, text: str, proof: tuple[str, str] | None, scheme: str = "DPoP") -> tuple[int, str]:
    headers = [] if proof is None else [proof]
    response = await there.send(text, call("list_menu"), scheme=scheme, headers=headers)
    return response.status_code, there.events[-1].reason


@pytest.mark.req("TOK-09", "TOK-10")
@pytest.mark.parametrize("mode", ["dpop", "both"])
@pytest.mark.parametrize("bound", [True, False])
async def test_beside_proofs_a_presentation_counts_until_it_ends_and_each_proof_once(
    tmp_path: Path, mode: str, bound: bool
) -> None:
    there = world(tmp_path, vp_mode=mode)
    text = shown(bound=bound)
    first = there.proof(text)
    assert await send(there, text, first) == (200, "allowed")
    assert await send(there, text, first) == (401, "invalid_dpop_proof")
    there.now = NOW + timedelta(seconds=329)
    assert await send(there, text, there.proof(text)) == (200, "allowed")
    assert there.callers[0] == there.callers[1]
    assert there.callers[0].client_id == did_key(AGENT_KEY.public)
    there.now = NOW + timedelta(seconds=330)
    assert (await send(there, text, there.proof(text)))[0] == 401


@pytest.mark.req("TOK-09", "VCX-01")
async def test_both_ways_the_caller_is_the_same(tmp_path: Path) -> None:
    there = world(tmp_path)
    document = credential()
    once = present_jwt([document], key=AGENT_KEY, audience=RESOURCE, now=NOW)
    often = present_jwt([document], key=AGENT_KEY, audience=RESOURCE, now=NOW, bound=True)
    assert await send(there, once, None, "Bearer") == (200, "allowed")
    assert await send(there, often, there.proof(often)) == (200, "allowed")
    assert there.callers[0] == there.callers[1]


@pytest.mark.req("TOK-09", "TOK-10")
async def test_a_proof_that_is_not_the_holders_for_this_presentation_and_request_admits_nobody(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = shown()
    elsewhere = (PROOF, make_proof(AGENT_KEY, method="POST", url=RESOURCE + "/x", now=NOW, access_token=text))
    reading = (PROOF, make_proof(AGENT_KEY, method="GET", url=RESOURCE, now=NOW, access_token=text))
    for proof in (None, there.proof(text, key=OTHER_KEY), there.proof(shown()), there.proof(None), elsewhere, reading):
        assert await send(there, text, proof) == (401, "invalid_dpop_proof")
    twice = [there.proof(text), there.proof(text)]
    response = await there.send(text, call("list_menu"), scheme="DPoP", headers=twice)
    assert (response.status_code, there.events[-1].reason) == (401, "invalid_dpop_proof")
    assert there.received == []
    assert await send(there, text, there.proof(text)) == (200, "allowed")


@pytest.mark.req("TOK-09")
async def test_what_its_holder_bound_is_never_a_bearer_nor_what_was_seen_beside_a_proof(tmp_path: Path) -> None:
    there = world(tmp_path)
    bound = shown(lifetime=60)
    assert await send(there, bound, None, "Bearer") == (401, "sender_not_proven")
    assert await send(there, bound, there.proof(bound), "Bearer") == (401, "sender_not_proven")
    loose = shown(bound=False, lifetime=60)
    assert await send(there, loose, there.proof(loose)) == (200, "allowed")
    assert await send(there, loose, None, "Bearer") == (401, "replayed")
    fresh = shown(bound=False, lifetime=60)
    assert await send(there, fresh, None, "Bearer") == (200, "allowed")
    assert await send(there, fresh, None, "Bearer") == (401, "replayed")


@pytest.mark.req("VCX-11")
async def test_a_presentation_that_is_known_ends_with_its_chain(tmp_path: Path) -> None:
    there = world(tmp_path)
    document = credential(valid_until=NOW + timedelta(seconds=100))
    text = present_jwt([document], key=AGENT_KEY, audience=RESOURCE, now=NOW, bound=True, lifetime=300)
    there.now = NOW + timedelta(seconds=99)
    assert await send(there, text, there.proof(text)) == (200, "allowed")
    there.now = NOW + timedelta(seconds=100)
    assert await send(there, text, there.proof(text)) == (401, "expired")


@pytest.mark.req("TOK-09", "TOK-10")
async def test_a_presentation_that_is_known_takes_a_proof_of_the_same_key_all_the_same(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = shown()
    assert await send(there, text, there.proof(text)) == (200, "allowed")
    assert await send(there, text, there.proof(text, key=OTHER_KEY)) == (401, "invalid_dpop_proof")
    assert await send(there, text, None) == (401, "invalid_dpop_proof")
    assert await send(there, text, None, "Bearer") == (401, "sender_not_proven")


@pytest.mark.req("VCX-01")
async def test_a_long_lived_one_is_no_bearer_and_none_lives_longer_than_five_minutes(tmp_path: Path) -> None:
    there = world(tmp_path)
    assert (await send(there, shown(bound=False), None, "Bearer"))[0] == 401
    too_long = shown(lifetime=301)
    assert (await send(there, too_long, there.proof(too_long)))[0] == 401
    wrong = shown(audience=BRIDGE)
    assert await send(there, wrong, there.proof(wrong)) == (401, "wrong_audience")


@pytest.mark.req("TOK-09")
async def test_the_operator_chooses_one_way_or_both(tmp_path: Path) -> None:
    single = world(tmp_path / "single", vp_mode="single_use")
    text = shown(bound=False, lifetime=60)
    assert await send(single, text, single.proof(text)) == (401, "invalid_dpop_proof")
    assert await send(single, text, None, "Bearer") == (200, "allowed")
    proven = world(tmp_path / "proven", vp_mode="dpop")
    assert await send(proven, text, None, "Bearer") == (401, "sender_not_proven")
    assert await send(proven, text, proven.proof(text)) == (200, "allowed")


@pytest.mark.req("TOK-09", "VCX-03")
async def test_a_presentation_names_no_key_but_its_holders(tmp_path: Path) -> None:
    there = world(tmp_path)
    jws, claims = unverified_jws(shown())
    for cnf in ({"jkt": "A" * 43}, {"jkt": "x", "y": "z"}, {}, None, "jkt"):
        text = sign_jwt({**claims, "cnf": cnf}, typ="vp+jwt", key=AGENT_KEY, kid=str(jws.header["kid"]))
        assert (await send(there, text, there.proof(text)))[0] == 400  # the request cannot be read
        assert there.events[-1].reason == BadPresentation.code
    assert await send(there, shown(), None, "Bearer") == (401, NotBound.code)


@pytest.mark.req("REV-01")
async def test_revocation_ends_a_presentation_that_could_still_be_shown(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = shown()
    assert await send(there, text, there.proof(text)) == (200, "allowed")
    there.ended.add(there.callers[0].credential_ids[0])
    assert await send(there, text, there.proof(text)) == (401, "revoked")


async def test_an_agent_shows_one_bound_presentation_for_minutes_and_follows_nonces(tmp_path: Path) -> None:
    there = world(tmp_path / "guard", vp_mode="dpop", dpop_nonce=True)
    wallet = Wallet(tmp_path / "wallet")
    agent = Agent("visitor", AGENT_KEY, wallet, clock=lambda: there.now)
    agent.add_credential(credential())
    shown = set()

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        shown.add(dict(scope["headers"])[b"authorization"])
        await there.guard()(scope, receive, send)

    auth = agent.presentation_auth(RESOURCE, bound=True)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=recording), auth=auth) as http:
        for seconds in (0, 200, 269):
            there.now = NOW + timedelta(seconds=seconds)
            assert (await http.post(RESOURCE, json=call("list_menu"))).status_code == 200
        assert len(shown) == 1
        there.now = NOW + timedelta(seconds=271)  # it is about to end
        assert (await http.post(RESOURCE, json=call("list_menu"))).status_code == 200
        assert len(shown) == 2
