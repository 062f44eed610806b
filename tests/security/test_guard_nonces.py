"""Nonces of the guard in DPoP proofs (RFC 9449, 9): demanded, handed out, rotated, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from did_agent.errors import DPoPNonceNeeded
from did_agent.keys.jwk import thumbprint
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.nonces import PERIOD, NonceRing
from tests.fakes.forms_world import FormsWorld
from tests.fakes.guard_world import AGENT_KEY, NOW, OTHER_KEY, call, token
from verifier.forms import derived

BOUND = Confirmation(jkt=thumbprint(AGENT_KEY.public))


async def send(world: FormsWorld, text: str, nonce: str | None) -> tuple[int, str | None, list[str]]:
    response = await world.send(text, call("list_menu"), scheme="DPoP", headers=[world.proof(text, nonce=nonce)])
    return response.status_code, response.headers.get("dpop-nonce"), response.headers.get_list("www-authenticate")


@pytest.mark.req("TOK-10")
async def test_a_proof_without_a_nonce_is_told_the_nonce_and_then_counts(tmp_path: Path) -> None:
    world = FormsWorld(data=tmp_path, settings={"dpop_nonce": True})
    text = token(confirmation=BOUND)
    status, nonce, challenges = await send(world, text, None)
    assert (status, world.events[-1].reason) == (401, "use_dpop_nonce")
    assert nonce
    assert challenges[1].startswith('DPoP error="use_dpop_nonce", algs="')
    assert (await send(world, text, nonce))[:2] == (200, nonce)
    for other in ("made up", nonce[:-1] + ("A" if nonce[-1] != "A" else "B"), "", "x" * 300):
        assert (await send(world, text, other))[0] == 401
    assert len(world.received) == 1


@pytest.mark.req("TOK-10")
async def test_nonces_rotate_and_the_next_comes_with_good_answers_too(tmp_path: Path) -> None:
    world = FormsWorld(data=tmp_path, settings={"dpop_nonce": True})
    text = token(confirmation=BOUND)
    _, first, _ = await send(world, text, None)
    world.now = NOW + timedelta(seconds=PERIOD)
    status, second, _ = await send(world, text, first)
    assert status == 200
    assert second not in (None, first)
    world.now = NOW + timedelta(seconds=2 * PERIOD)
    assert (await send(world, text, first))[0] == 401
    assert (await send(world, text, second))[0] == 200


async def test_nonces_are_off_unless_asked_for_and_never_for_bearers(tmp_path: Path) -> None:
    plain = FormsWorld(data=tmp_path / "plain")
    assert (await send(plain, token(confirmation=BOUND), None))[:2] == (200, None)
    demanding = FormsWorld(data=tmp_path / "demanding", settings={"dpop_nonce": True})
    response = await demanding.send(token(), call("list_menu"))
    assert (response.status_code, response.headers.get("dpop-nonce")) == (200, None)


@pytest.mark.req("TOK-10")
def test_a_nonce_is_that_of_one_key_and_purpose() -> None:
    ring = NonceRing(key=derived(OTHER_KEY, b"nonces"))
    ring.require(ring.current(NOW), NOW)
    stranger = NonceRing(key=derived(AGENT_KEY, b"nonces"))
    elsewhere = NonceRing(key=derived(OTHER_KEY, b"challenges "))
    for other in (stranger.current(NOW), elsewhere.current(NOW), None):
        with pytest.raises(DPoPNonceNeeded):
            ring.require(other, NOW)
    assert repr(ring) == "NonceRing()"
