"""Attacks on codes and on the next hop: wrong hands, widening, hidden actors."""

from __future__ import annotations

import asyncio
import json

import pytest

from did_agent.credential.issuance import attenuate
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from tests.fakes.bridge_world import (
    ACCESS,
    EXCHANGE,
    OTHER_RESOURCE,
    REDIRECT,
    RESOURCE,
    Actor,
    World,
    capability,
    claims_of,
    code_for,
    redeem,
    w,
)

__all__ = ["w"]


async def refused(answer: object, status: int, error: str) -> dict[str, str]:
    body = answer.json()  # type: ignore[attr-defined]
    assert (answer.status_code, body.get("error")) == (status, error), body  # type: ignore[attr-defined]
    assert body["code"]
    assert body["request_id"] == answer.headers["x-request-id"]  # type: ignore[attr-defined]
    return dict(body)


# ---- authorization codes


@pytest.mark.req("OAU-02")
async def test_of_fifty_parallel_redemptions_one_succeeds_and_its_token_dies(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    answers = await asyncio.gather(*(redeem(w, agent, code, verifier) for _ in range(50)))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    feed = (await w.http.get("/revocations")).json()["sets"]
    assert [claims_of(item["set"])["sub_id"]["uri"] for item in feed] == [claims_of(won[0]["access_token"])["jti"]]
    refusal = await w.next_hop(won[0]["access_token"], await w.vp(agent))
    await refused(refusal, 400, "invalid_request")


@pytest.mark.req("OAU-02", "OAU-01", "DEL-02")
async def test_a_code_in_wrong_hands_is_burnt(w: World) -> None:
    agent, thief = w.agent("ordering", "list_menu"), w.agent("thief", "list_menu")

    async def attempt(who: Actor, **changes: str) -> None:
        code, verifier = await code_for(w, agent)
        await refused(
            await redeem(w, who, code, changes.pop("code_verifier", verifier), **changes), 400, "invalid_grant"
        )
        await refused(await redeem(w, agent, code, verifier), 400, "invalid_grant")

    await attempt(thief)
    await attempt(agent, code_verifier="A" * 43)
    await attempt(agent, redirect_uri=REDIRECT.replace("9999", "9998"))
    await attempt(agent, redirect_uri="")


@pytest.mark.req("DEL-01")
async def test_caller_actor_and_the_one_consented_to_must_be_the_same(w: World) -> None:
    agent, other = w.agent("ordering", "list_menu"), w.agent("other", "list_menu")
    for caller, actor in ((agent, other), (other, agent), (other, other)):
        code, verifier = await code_for(w, agent)
        answer = await redeem(w, caller, code, verifier, actor_token=await w.vp(actor))
        await refused(answer, 400, "invalid_grant")
    code, verifier = await code_for(w, agent)
    assert (await redeem(w, agent, code, verifier, actor_token=await w.vp(agent))).status_code == 200


@pytest.mark.req("OAU-02")
async def test_a_code_ends_after_a_minute_and_needs_its_client(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    w.clock.forward(60)
    await refused(await redeem(w, agent, code, verifier), 400, "invalid_grant")
    code, verifier = await code_for(w, agent)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": REDIRECT}
    await refused(await w.token({**form, "client_id": agent.did}), 401, "invalid_client")
    w.clock.forward(59)
    assert (await redeem(w, agent, code, verifier)).status_code == 200


@pytest.mark.req("DEL-10")
async def test_an_agent_suspended_after_consent_gets_no_token(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    agent.state = "suspended"
    await refused(await redeem(w, agent, code, verifier), 400, "invalid_grant")


@pytest.mark.req("DEL-05")
async def test_a_code_is_good_for_its_resource_alone(w: World) -> None:
    await w.put_resource(OTHER_RESOURCE)
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    await refused(await redeem(w, agent, code, verifier, resource=OTHER_RESOURCE), 400, "invalid_target")


@pytest.mark.req("DEL-04")
async def test_rights_are_worked_out_anew_at_redemption(w: World) -> None:
    agent = w.agent("ordering", "list_menu", "create_order")
    code, verifier = await code_for(w, agent)
    agent.held.clear()
    w.grant(agent, capability("create_order", "update_stock"))
    answer = await redeem(w, agent, code, verifier)
    assert answer.json()["scope"] == "tool:create_order"


# ---- token exchange


@pytest.mark.req("DEL-03", "DEL-14")
async def test_possession_of_a_users_token_is_not_enough(w: World) -> None:
    agent, thief = w.agent("ordering", "list_menu"), w.agent("thief", "list_menu")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    await refused(await w.next_hop(token, await w.vp(thief)), 400, "actor_unauthorized")
    alone = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "resource": RESOURCE}
    await refused(await w.token({**alone, **w.assertion(thief.key)}), 400, "invalid_request")
    delegated = {**alone, "actor_token": token, "actor_token_type": ACCESS}
    await refused(await w.token(delegated), 400, "invalid_request")


@pytest.mark.req("DEL-03")
async def test_a_delegation_by_somebody_other_than_the_current_actor_does_not_count(w: World) -> None:
    agent, other, taker = w.agent("ordering", "list_menu"), w.agent("other", "list_menu"), w.enrol("taker")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    foreign = w.hand_on(other.held[0], other, taker, "list_menu")
    await refused(await w.next_hop(token, await w.vp(taker, foreign, other.held[0])), 400, "actor_unauthorized")
    own = w.hand_on(agent.held[0], agent, taker, "list_menu")
    assert (await w.next_hop(token, await w.vp(taker, own, agent.held[0]))).status_code == 200


@pytest.mark.req("DEL-01", "OAU-06")
async def test_the_authenticated_client_must_be_the_holder(w: World) -> None:
    agent, other = w.agent("stock", "list_menu"), w.agent("other", "list_menu")
    await refused(await w.exchange(await w.vp(agent), **w.assertion(other.key)), 401, "invalid_client")
    await refused(await w.exchange(await w.vp(agent), client_id=other.did), 401, "invalid_client")
    assert (await w.exchange(await w.vp(agent), **w.assertion(agent.key), client_id=agent.did)).status_code == 200


@pytest.mark.req("DEL-04", "DEL-05")
async def test_the_next_hop_cannot_widen_scope_resource_or_arguments(w: World) -> None:
    await w.put_resource(OTHER_RESOURCE)
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    child = w.hand_on(giver.held[0], giver, taker, "list_menu", "assign_delivery")
    first = (await w.exchange(await w.vp(giver), scope="tool:list_menu")).json()["access_token"]
    wider = await w.next_hop(first, await w.vp(taker, child, giver.held[0]), scope="tool:assign_delivery")
    body = await refused(wider, 400, "invalid_scope")
    assert "previous token" in body["error_description"]
    elsewhere = await w.next_hop(first, await w.vp(taker, child, giver.held[0]), resource=OTHER_RESOURCE)
    await refused(elsewhere, 400, "invalid_target")
    kept = await w.next_hop(first, await w.vp(taker, child, giver.held[0]))
    assert kept.json()["scope"] == "tool:list_menu"


@pytest.mark.req("DEL-05")
async def test_arguments_that_bound_the_first_token_bound_the_next(w: World) -> None:
    giver, taker = w.enrol("giver"), w.enrol("taker")
    one = {"item": {"constraint_type": "exact", "value": "falafel"}}
    narrow = w.grant(giver, capability("create_order", "list_menu", create_order=one))
    wide = w.grant(giver, capability("create_order", "list_menu"))
    first = (await w.exchange(await w.vp(giver, narrow))).json()["access_token"]
    child = w.hand_on(wide, giver, taker, "create_order", "list_menu")
    answer = await w.next_hop(first, await w.vp(taker, child, wide))
    assert answer.json()["scope"] == "tool:list_menu"
    details = claims_of(answer.json()["access_token"])["authorization_details"]
    assert [sorted(detail["tools"]) for detail in details] == [["list_menu"]]


@pytest.mark.req("DEL-08", "DEL-06")
async def test_four_actors_are_the_most_and_the_inner_chain_is_copied_unchanged(w: World) -> None:
    agents = [w.agent("a0", "list_menu"), *(w.enrol(f"a{number}") for number in range(1, 5))]
    code, verifier = await code_for(w, agents[0])
    token = (await redeem(w, agents[0], code, verifier)).json()["access_token"]
    chain = [agents[0].held[0]]
    for giver, taker in zip(agents, agents[1:], strict=False):
        chain = [w.hand_on(chain[0], giver, taker, "list_menu"), *chain]
        answer = await w.next_hop(token, await w.vp(taker, *chain))
        if taker is agents[4]:
            await refused(answer, 400, "invalid_request")
            break
        before, token = token, answer.json()["access_token"]
        assert claims_of(token)["act"] == {
            "sub": taker.did,
            "iss": w.url,
            "sub_profile": "ai_agent",
            "act": claims_of(before)["act"],
        }


@pytest.mark.req("DEL-08")
async def test_an_agent_cannot_stand_twice_in_the_chain_or_delegate_to_itself(w: World) -> None:
    first, second = w.agent("first", "list_menu"), w.agent("second", "list_menu")
    token = (await w.exchange(await w.vp(first))).json()["access_token"]
    await refused(await w.next_hop(token, await w.vp(first)), 400, "actor_unauthorized")
    there = w.hand_on(first.held[0], first, second, "list_menu")
    token = (await w.next_hop(token, await w.vp(second, there, first.held[0]))).json()["access_token"]
    back = w.hand_on(second.held[0], second, first, "list_menu")
    await refused(await w.next_hop(token, await w.vp(first, back, second.held[0])), 400, "invalid_request")


@pytest.mark.req("TOK-08", "TOK-07", "DEL-07")
async def test_only_our_own_recorded_access_tokens_are_exchanged(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu"), w.enrol("taker")
    child = w.hand_on(giver.held[0], giver, taker, "list_menu")
    honest = (await w.exchange(await w.vp(giver))).json()["access_token"]
    claims = claims_of(honest)
    strangers = SigningKey.generate()
    for forged in (
        sign_jwt(claims, typ="at+jwt", key=strangers),
        sign_jwt({**claims, "iss": "https://other.example"}, typ="at+jwt", key=strangers),
        make_client_assertion(giver.key, audience=w.url, now=w.clock()),
        w.vp_jwt(giver),
    ):
        answer = await w.next_hop(forged, await w.vp(taker, child, giver.held[0]))
        await refused(answer, 400, "invalid_request")
    assert (await w.next_hop(honest, await w.vp(taker, child, giver.held[0]))).status_code == 200
    w.clock.forward(331)
    late = await w.next_hop(honest, await w.vp(taker, child, giver.held[0]))
    await refused(late, 400, "invalid_request")


@pytest.mark.req("DEL-11", "DEL-03")
async def test_on_behalf_of_gives_what_that_persons_account_has_here(w: World) -> None:
    agent = w.enrol("butler")
    credential = w.grant(agent, capability("list_menu", "update_stock"), on_behalf_of="https://people.example/ann")
    body = await refused(await w.exchange(await w.vp(agent, credential)), 400, "invalid_scope")
    assert "user" in body["error_description"]
    await w.put_user("https://people.example/ann", "list_menu")
    claims = claims_of((await w.exchange(await w.vp(agent, credential))).json()["access_token"])
    assert (claims["sub"], claims["sub_profile"], claims["scope"]) == (
        "https://people.example/ann",
        "user",
        "tool:list_menu",
    )
    assert claims["act"]["sub"] == agent.did
    # Authenticating as itself, the agent does not speak for that person.
    await refused(await w.client_credentials(agent.key, resource=RESOURCE), 400, "invalid_scope")


@pytest.mark.req("DEL-05")
async def test_rights_come_from_credentials_never_from_the_request(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    details = json.dumps([{"type": "attenuating_agent_token", "locations": [RESOURCE], "tools": {"delete_order": {}}}])
    answer = await w.exchange(await w.vp(agent), authorization_details=details)
    await refused(answer, 400, "invalid_authorization_details")


async def test_a_delegation_is_not_deeper_than_its_credential_allows(w: World) -> None:
    giver, taker, third = w.enrol("giver"), w.enrol("taker"), w.enrol("third")
    root = w.grant(giver, capability("list_menu"), max_depth=1)
    child = w.hand_on(root, giver, taker, "list_menu")
    assert (await w.exchange(await w.vp(taker, child, root))).status_code == 200
    with pytest.raises(Exception, match="delegated any further"):
        attenuate(
            child,
            key=taker.key,
            subject=third.did,
            capabilities=[capability("list_menu")],
            valid_until=w.clock(),
            now=w.clock(),
        )
