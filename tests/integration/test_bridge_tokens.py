"""The token endpoint, one grant after the other, with real storage and real HTTP."""

from __future__ import annotations

from tests.fakes.bridge_world import (
    ACCESS,
    JWT,
    OTHER_RESOURCE,
    RESOURCE,
    VP,
    World,
    capability,
    claims_of,
    code_for,
    redeem,
    w,
)

__all__ = ["w"]


async def test_an_agent_gets_a_token_for_itself_by_client_credentials(w: World) -> None:
    agent = w.agent("stock", "list_menu", "update_stock")
    answer = await w.client_credentials(agent.key, resource=RESOURCE)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 300)
    assert body["scope"] == "tool:list_menu tool:update_stock"
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(body["access_token"])
    assert (claims["iss"], claims["sub"], claims["client_id"]) == (w.url, agent.did, agent.did)
    assert (claims["aud"], claims["sub_profile"]) == (RESOURCE, "ai_agent")
    assert "act" not in claims
    assert claims["vc"]["ids"] == [agent.held[0]["id"]]


async def test_without_resource_the_only_one_of_the_credentials_is_meant(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    answer = await w.client_credentials(agent.key)
    assert claims_of(answer.json()["access_token"])["aud"] == RESOURCE
    w.grant(agent, capability("find_route", resource=OTHER_RESOURCE))
    refused = await w.client_credentials(agent.key)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


async def test_several_credentials_of_the_register_add_up_at_one_resource(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    w.grant(agent, capability("update_stock"))
    answer = await w.client_credentials(agent.key, resource=RESOURCE)
    claims = claims_of(answer.json()["access_token"])
    assert claims["scope"] == "tool:list_menu tool:update_stock"
    assert set(claims["vc"]["ids"]) == {document["id"] for document in agent.held}
    evidence = await w.http.get(claims["delegation_evidence"]["uri"])
    assert len(evidence.json()["credentials"]) == 2


async def test_an_operator_gets_the_scopes_of_the_deployments_own_parties(w: World) -> None:
    answer = await w.client_credentials(w.operator, resource=w.url)
    claims = claims_of(answer.json()["access_token"])
    assert (claims["scope"], claims["sub_profile"]) == ("bridge:admin", "service")
    elsewhere = await w.client_credentials(w.operator, resource=RESOURCE)
    assert elsewhere.json()["error"] == "invalid_scope"
    narrowed = await w.client_credentials(w.operator, resource=w.issuer.url, scope="registry:read")
    assert narrowed.json()["scope"] == "registry:read"


async def test_a_presentation_becomes_a_token_in_both_forms(w: World) -> None:
    agent = w.agent("stock", "list_menu", "update_stock")
    for vp in (await w.vp(agent), w.vp_jwt(agent), w.vp_jwt(agent, nonce=await w.challenge())):
        answer = await w.exchange(vp)
        body = answer.json()
        assert answer.status_code == 200, body
        assert body["issued_token_type"] == ACCESS
        claims = claims_of(body["access_token"])
        assert (claims["sub"], claims["client_id"]) == (agent.did, agent.did)
        assert claims["scope"] == "tool:list_menu tool:update_stock"
        assert "act" not in claims
        assert "entitlements" not in claims


async def test_a_vp_jwt_travels_under_the_jwt_type_too(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    answer = await w.exchange(w.vp_jwt(agent), subject_token_type=JWT)
    assert answer.status_code == 200


async def test_a_delegated_chain_names_the_delegator_as_subject_and_the_holder_as_actor(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    child = w.hand_on(giver.held[0], giver, taker, "assign_delivery")
    answer = await w.exchange(await w.vp(taker, child, giver.held[0]))
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["act"]["sub"], claims["scope"]) == (giver.did, taker.did, "tool:assign_delivery")
    assert "act" not in claims["act"]
    assert claims["vc"]["ids"] == [child["id"], giver.held[0]["id"]]


async def test_the_scope_that_was_asked_for_is_cut_and_reported(w: World) -> None:
    agent = w.agent("stock", "list_menu", "update_stock")
    answer = await w.exchange(await w.vp(agent), scope="tool:list_menu tool:delete_order")
    assert answer.json()["scope"] == "tool:list_menu"


async def test_the_token_ends_with_the_credential_it_was_made_from(w: World) -> None:
    agent = w.enrol("short")
    w.grant(agent, capability("list_menu"), valid_until=w.clock.now.replace(minute=1))
    answer = await w.exchange(await w.vp(agent))
    assert answer.json()["expires_in"] == 60


async def test_a_user_consents_and_the_agent_redeems_with_its_assertion_alone(w: World) -> None:
    agent = w.agent("ordering", "list_menu", "create_order")
    code, verifier = await code_for(w, agent)
    answer = await redeem(w, agent, code, verifier)
    claims = claims_of(answer.json()["access_token"])
    assert answer.status_code == 200
    assert "issued_token_type" not in answer.json()
    assert (claims["sub"], claims["sub_profile"]) == ("smith", "user")
    assert claims["act"] == {"sub": agent.did, "iss": w.url, "sub_profile": "ai_agent"}
    assert claims["scope"] == "tool:create_order tool:list_menu"
    # What the user holds beyond the grant travels along, so that a refusal can say which term was empty.
    assert "tool:delete_order" in claims["entitlements"]


async def test_a_user_consents_and_the_agent_redeems_with_a_presentation(w: World) -> None:
    agent = w.agent("ordering", "list_menu", "create_order")
    for kind in ({"actor_token_type": VP}, {}):
        code, verifier = await code_for(w, agent)
        answer = await redeem(w, agent, code, verifier, actor_token=await w.vp(agent), **kind)
        assert answer.status_code == 200, answer.text
        assert claims_of(answer.json()["access_token"])["act"]["sub"] == agent.did


async def test_the_next_hop_nests_the_actor_and_never_widens(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    code, verifier = await code_for(w, giver)
    first = (await redeem(w, giver, code, verifier)).json()["access_token"]
    w.clock.forward(100)
    child = w.hand_on(giver.held[0], giver, taker, "assign_delivery")
    answer = await w.next_hop(first, await w.vp(taker, child, giver.held[0]))
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["scope"]) == ("smith", "tool:assign_delivery")
    assert claims["act"]["sub"] == taker.did
    assert claims["act"]["act"] == claims_of(first)["act"]
    assert claims["exp"] == claims_of(first)["exp"]
    assert answer.json()["expires_in"] == 200
    assert set(claims["vc"]["ids"]) == {child["id"], giver.held[0]["id"]}


async def test_the_current_actor_may_narrow_its_own_token_and_stays_in_act(w: World) -> None:
    agent = w.agent("ordering", "list_menu", "create_order")
    code, verifier = await code_for(w, agent)
    first = (await redeem(w, agent, code, verifier)).json()["access_token"]
    answer = await w.next_hop(first, await w.vp(agent), scope="tool:list_menu")
    claims = claims_of(answer.json()["access_token"])
    assert (claims["scope"], claims["act"]) == ("tool:list_menu", claims_of(first)["act"])


async def test_an_agent_acts_for_an_autonomous_agent_by_token_and_chain(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    first = (await w.exchange(await w.vp(giver))).json()["access_token"]
    child = w.hand_on(giver.held[0], giver, taker, "assign_delivery")
    answer = await w.next_hop(first, await w.vp(taker, child, giver.held[0]))
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["act"]["sub"]) == (giver.did, taker.did)


async def test_the_evidence_of_a_token_is_kept_for_good(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    claims = claims_of((await w.exchange(await w.vp(agent))).json()["access_token"])
    answer = await w.http.get(claims["delegation_evidence"]["uri"])
    assert answer.json() == {"credentials": agent.held}
    assert "immutable" in answer.headers["cache-control"]
    missing = await w.http.get("/evidence/sha-256:nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_a_client_revokes_its_token_and_everything_made_from_it(w: World) -> None:
    giver, taker = w.agent("giver", "list_menu", "assign_delivery"), w.enrol("taker")
    first = (await w.exchange(await w.vp(giver))).json()["access_token"]
    child = w.hand_on(giver.held[0], giver, taker, "assign_delivery")
    second = (await w.next_hop(first, await w.vp(taker, child, giver.held[0]))).json()["access_token"]
    answer = await w.post("/revoke", {"token": first, **w.assertion(giver.key)})
    assert answer.status_code == 200
    feed = (await w.http.get("/revocations?after=0")).json()
    ended = {claims_of(item["set"])["sub_id"]["uri"] for item in feed["sets"]}
    assert {claims_of(first)["jti"], claims_of(second)["jti"]} <= ended
    refused = await w.next_hop(first, await w.vp(taker, child, giver.held[0]))
    assert refused.json()["error"] == "invalid_request"


async def test_revoking_what_is_not_known_is_no_error(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    answer = await w.post("/revoke", {"token": "nothing", **w.assertion(agent.key)})
    assert answer.status_code == 200


async def test_a_stranger_cannot_revoke_a_token(w: World) -> None:
    agent, other = w.agent("stock", "list_menu"), w.agent("other", "list_menu")
    token = (await w.exchange(await w.vp(agent))).json()["access_token"]
    answer = await w.post("/revoke", {"token": token, **w.assertion(other.key)})
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert (await w.http.get("/revocations?after=0")).json()["sets"] == []


async def test_every_outcome_is_in_the_audit_record_with_its_reason(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    token = (await w.exchange(await w.vp(agent))).json()["access_token"]
    await w.exchange(await w.vp(agent), scope="tool:delete_order")
    allowed, denied = [event for event in await w.events() if event["client_id"] == agent.did]
    assert (allowed["action"], allowed["decision"]) == ("token.issue", "allow")
    assert allowed["token_id"] == claims_of(token)["jti"]
    assert allowed["credential_ids"] == [agent.held[0]["id"]]
    assert (denied["decision"], denied["reason"]) == ("deny", "empty_grant")
    answers = "may the user: not asked: the agent acts on its own; may the agent: nothing"
    assert denied["explanation"] == f"nothing is left after the rights of the agent; {answers}"
