"""An agent shows a presentation inside its client assertion: what it shows counts, for itself alone and once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from tests.fakes.bridge_world import ASSERTION, RESOURCE, World, capability, claims_of, w

__all__ = ["w"]


async def ask(w: World, key: SigningKey, shown: Any, **form: str) -> Any:
    made = make_client_assertion(key, audience=w.url, now=w.clock(), presentation=shown)
    return await send(w, made, **form)


async def send(w: World, assertion: str, **form: str) -> Any:
    fields = {"grant_type": "client_credentials", "resource": RESOURCE, "client_assertion_type": ASSERTION}
    return await w.token({**fields, "client_assertion": assertion, **form})


async def test_what_is_shown_counts_instead_of_what_the_register_holds(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    w.grant(agent, capability("create_order"))
    first = agent.held[0]
    for shown in (w.vp_jwt(agent, first), json.loads(await w.vp(agent, first))):
        answer = await ask(w, agent.key, shown)
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["access_token"])
        assert (claims["sub"], claims["client_id"], claims["scope"]) == (agent.did, agent.did, "tool:list_menu")
        assert claims["vc"]["ids"] == [first["id"]]
        assert (await w.events())[-1]["details"]["grant"] == "client_credentials"


async def test_a_delegated_chain_rides_inside_too(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    child = w.hand_on(giver.held[0], giver, taker, "assign_delivery")
    answer = await ask(w, taker.key, w.vp_jwt(taker, child, giver.held[0]))
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["act"]["sub"], claims["scope"]) == (giver.did, taker.did, "tool:assign_delivery")


@pytest.mark.req("DEL-01")
async def test_another_agents_presentation_is_not_the_clients(w: World) -> None:
    agent, other = w.agent("stock", "list_menu"), w.agent("other", "list_menu", "create_order")
    answer = await ask(w, agent.key, w.vp_jwt(other))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await w.events())[-1]["decision"] == "deny"


@pytest.mark.req("OAU-07")
async def test_a_presentation_inside_counts_once(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    shown = w.vp_jwt(agent)
    assert (await ask(w, agent.key, shown)).status_code == 200
    assert (await ask(w, agent.key, shown)).status_code == 401
    assert (await w.exchange(shown)).status_code == 400


@pytest.mark.req("DEL-10")
async def test_a_suspended_agent_shows_in_vain(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    agent.state = "suspended"
    assert (await ask(w, agent.key, w.vp_jwt(agent))).status_code == 401


@pytest.mark.parametrize("shown", [7, [], True, "", "not a presentation", {}, {"type": "VerifiablePresentation"}])
async def test_what_is_no_presentation_is_refused_and_never_left_out(w: World, shown: Any) -> None:
    agent = w.agent("stock", "list_menu")
    answer = await ask(w, agent.key, shown)
    assert answer.status_code in (400, 401), answer.text
    assert answer.json()["error"] in ("invalid_request", "invalid_client")


async def test_a_program_with_a_key_presents_for_nobody(w: World) -> None:
    agent, key = w.agent("stock", "list_menu"), SigningKey.generate()
    body = {"name": "Portal", "auth_method": "private_key_jwt", "keys": [public_jwk(key.public)]}
    await w.http.put("/clients/portal", json=body, headers=await w.admin_headers())
    now = int(w.clock().timestamp())
    claims = {"iss": "portal", "sub": "portal", "aud": w.url, "iat": now, "exp": now + 60, "jti": "one"}
    answer = await send(w, sign_jwt({**claims, "vp": w.vp_jwt(agent)}, typ="JWT", key=key))
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_an_operator_stays_an_operator(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    answer = await ask(w, w.operator, w.vp_jwt(agent), resource=w.url)
    assert answer.json()["scope"] == "bridge:admin"
