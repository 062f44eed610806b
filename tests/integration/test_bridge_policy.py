"""The policy in force at a real bridge: roles, modes, protected agents and rules, on every way to a token."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from did_agent.adapters.cedar import Cedar
from did_agent.policy.active import activate
from did_agent.policy.document import parse_policy
from did_agent.policy.replay import replay
from tests.fakes.bridge_policy import PERMIT, at, guest, join, last_event, publish, publish_union, staff
from tests.fakes.bridge_world import (
    RESOURCE,
    Actor,
    Browser,
    World,
    capability,
    claims_of,
    code_for,
    question,
    redeem,
    w,
)
from tests.integration.test_bridge_jwt_bearer import bearer, link, provider, trust

__all__ = ["w"]


def scopes(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(claims_of(answer.json()["access_token"])["scope"])


def refused(answer: httpx2.Response, error: str, words: str = "") -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert words in answer.json()["error_description"]


async def through_consent(w: World, agent: Actor, **changes: str | None) -> httpx2.Response:
    code, verifier = await code_for(w, agent, **changes)
    return await redeem(w, agent, code, verifier)


# ---- roles and groups


async def test_a_group_gives_its_members_the_tools_of_its_role(w: World) -> None:
    agent = w.agent("orders", "update_stock", "list_menu")
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"
    await publish(w, {"roles": staff("update_stock")})
    await join(w, "smith", "staff", "cooks")
    answer = await through_consent(w, agent)
    assert scopes(answer) == "tool:list_menu tool:update_stock"
    # The verifier is told too: what the user may is in the token, wherever it came from.
    assert "tool:update_stock" in claims_of(answer.json()["access_token"])["entitlements"]
    await join(w, "smith")
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"


async def test_leaving_a_group_ends_what_was_made_in_it(w: World) -> None:
    agent = w.agent("orders", "update_stock")
    await publish(w, {"roles": staff("update_stock")})
    await join(w, "smith", "staff")
    token = (await through_consent(w, agent)).json()["access_token"]
    asked = {"token": token, **w.assertion(w.operator)}
    assert (await w.post("/introspect", asked)).json()["active"] is True
    await join(w, "smith")
    assert (await w.post("/introspect", {"token": token, **w.assertion(w.operator)})).json() == {"active": False}


# ---- modes


@pytest.mark.req("DEL-04", "POL-04")
async def test_both_partial_answers_and_the_version_are_recorded(w: World) -> None:
    published = await publish(w, {"roles": staff("update_stock")})
    agent = w.agent("orders", "list_menu", "update_stock")
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"
    said = await last_event(w)
    assert said["policy"] == "intersection/1"
    assert said["details"]["policy_digest"] == published["digest"]
    assert "tool:update_stock" not in said["details"]["user_may"]
    assert said["details"]["agent_may"] == "tool:list_menu tool:update_stock"
    assert "may the user: " in said["explanation"]
    refused(await w.client_credentials(agent.key, resource=RESOURCE, scope="tool:delete_order"), "invalid_scope")
    denied = await last_event(w)
    assert (denied["decision"], denied["policy"]) == ("deny", "agent_only/1")
    assert denied["details"]["agent_may"] == "nothing"
    assert denied["details"]["user_may"].startswith("not asked")
    assert json.loads(denied["details"]["facts"])["tools"] == ["delete_order"]


@pytest.mark.req("DEL-04")
async def test_a_subset_is_what_somebody_ticked_and_nothing_without(w: World) -> None:
    person = "https://people.example/ann"
    await w.put_user(person, "list_menu", "create_order")
    agent = w.agent("orders", "list_menu", "create_order")
    personal = w.enrol("personal")
    credential = w.grant(personal, capability("list_menu"), on_behalf_of=person)
    assert scopes(await w.exchange(await w.vp(personal, credential))) == "tool:list_menu"
    await publish(w, at("subset"))
    answer = await w.exchange(await w.vp(personal, credential))
    refused(answer, "invalid_scope", "nobody was asked")
    asked = question(agent)
    given = await Browser(w).consent(asked.path, ticks=["tool:list_menu"])
    assert scopes(await redeem(w, agent, given["code"], asked.verifier)) == "tool:list_menu"
    assert (await last_event(w))["policy"] == "subset/1"


@pytest.mark.req("DEL-04")
async def test_a_resource_can_take_agents_on_their_own_alone_or_none_of_them(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    await publish(w, at("agent_only"))
    assert scopes(await w.client_credentials(agent.key, resource=RESOURCE)) == "tool:list_menu"
    answer = await Browser(w).login(question(agent).path)
    assert "error=invalid_scope" in answer.headers["location"]
    await publish(w, {"resources": {RESOURCE: {"autonomous": False}}})
    refused(await w.client_credentials(agent.key, resource=RESOURCE), "invalid_scope", "takes no agent on its own")
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"


@pytest.mark.req("DEL-04", "WEB-04")
async def test_a_union_is_what_either_may_and_is_marked(w: World) -> None:
    agent = w.agent("orders", "update_stock")  # which smith may not; smith may list the menu, which the agent may not
    await publish_union(w)
    answer = await through_consent(w, agent, scope="tool:update_stock tool:list_menu")
    assert scopes(answer) == "tool:list_menu tool:update_stock"
    claims = claims_of(answer.json()["access_token"])
    assert {"tool:list_menu", "tool:update_stock"} <= set(claims["entitlements"])
    assert {tool for detail in claims["authorization_details"] for tool in detail["tools"]} == {
        "list_menu",
        "update_stock",
    }
    said = await last_event(w)
    assert said["policy"] == "union/1"
    assert "approval" in said["details"]["union"]
    # The consent binds a union too.
    asked = question(agent, scope="tool:update_stock tool:list_menu")
    given = await Browser(w).consent(asked.path, ticks=["tool:list_menu"])
    assert scopes(await redeem(w, agent, given["code"], asked.verifier)) == "tool:list_menu"


@pytest.mark.req("DEL-04", "DEL-08")
async def test_a_union_is_never_for_chains(w: World) -> None:
    first, second = w.agent("first", "list_menu", "update_stock"), w.enrol("second")
    await publish_union(w)
    token = (await through_consent(w, first)).json()["access_token"]
    assert "tool:create_order" in claims_of(token)["scope"]
    chain = [w.hand_on(first.held[0], first, second, "list_menu"), first.held[0]]
    hop = await w.next_hop(token, await w.vp(second, *chain))
    assert scopes(hop) == "tool:list_menu"
    assert (await last_event(w))["policy"] == "intersection/1"
    again = await w.next_hop(token, await w.vp(first))
    assert scopes(again) == "tool:list_menu"


# ---- protected agents


def guarded(agent: Actor, **who: Any) -> dict[str, Any]:
    return {"agents": [{"agent": agent.did, **who}], "roles": staff("list_menu")}


@pytest.mark.req("DEL-03")
async def test_a_protected_agent_is_refused_at_consent_and_the_refusal_is_recorded(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    await publish(w, guarded(agent, groups=["staff"]))
    answer = await Browser(w).login(question(agent).path)
    assert "error=access_denied" in answer.headers["location"]
    denied = await last_event(w, "consent.give")
    assert (denied["decision"], denied["reason"]) == ("deny", "actor_unauthorized")
    assert "is protected" in denied["explanation"]
    await guest(w, "ann", "staff")
    page = await Browser(w).login(question(agent).path, username="ann")
    assert "tool:list_menu" in page.text


@pytest.mark.req("DEL-03", "DEL-10")
async def test_a_code_given_before_the_agent_was_protected_is_worth_nothing(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    code, verifier = await code_for(w, agent)
    await publish(w, guarded(agent, users=["ann"]))
    refused(await redeem(w, agent, code, verifier), "actor_unauthorized")
    denied = await last_event(w)
    assert (denied["reason"], denied["policy"]) == ("actor_unauthorized", "-/1")
    assert "policy does not let smith have it act" in denied["explanation"]
    await publish(w, guarded(agent, users=["smith"]))
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"


@pytest.mark.req("DEL-03")
async def test_a_protected_agent_is_refused_on_every_way_rights_reach_it(w: World) -> None:
    person = "https://people.example/ann"
    await w.put_user(person, "list_menu")
    agent, giver = w.enrol("orders"), w.agent("giver", "list_menu")
    credential = w.grant(agent, capability("list_menu"), on_behalf_of=person, register=False)
    handed = [w.hand_on(giver.held[0], giver, agent, "list_menu"), giver.held[0]]
    token = (await through_consent(w, giver)).json()["access_token"]

    async def all_ways() -> list[httpx2.Response]:
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return [
            await w.exchange(await w.vp(agent, credential)),
            await w.token({"grant_type": grant, "assertion": w.vp_jwt(agent, credential), "resource": RESOURCE}),
            await w.exchange(await w.vp(agent, *handed)),
            await w.next_hop(token, await w.vp(agent, *handed)),
        ]

    for answer in await all_ways():
        assert scopes(answer) == "tool:list_menu"
    await publish(w, guarded(agent, users=["jones"]))
    for answer in await all_ways():
        refused(answer, "actor_unauthorized")
        assert (await last_event(w))["reason"] == "actor_unauthorized"
    await publish(w, guarded(agent, users=[person], agents=[giver.did]))
    for answer in await all_ways():
        assert scopes(answer) == "tool:list_menu"


@pytest.mark.req("DEL-03", "DEL-10")
async def test_a_refresh_asks_again_whether_the_agent_may(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    asked = question(agent, scope="tool:list_menu offline_access")
    given = await Browser(w).consent(asked.path, offline=True)
    first = (await redeem(w, agent, given["code"], asked.verifier)).json()

    async def again(token: str) -> httpx2.Response:
        return await w.token({"grant_type": "refresh_token", "refresh_token": token, **w.assertion(agent.key)})

    second = await again(first["refresh_token"])
    assert scopes(second) == "tool:list_menu"
    await publish(w, guarded(agent, users=["jones"]))
    refused(await again(second.json()["refresh_token"]), "actor_unauthorized")


@pytest.mark.req("DEL-03", "DEL-04")
async def test_another_issuers_word_about_a_user_passes_policy_too(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        assert scopes(await bearer(w, idp.id_jag(agent), agent, resource=RESOURCE)) == "tool:list_menu"
        await publish(w, guarded(agent, users=["jones"]))
        refused(await bearer(w, idp.id_jag(agent), agent, resource=RESOURCE), "actor_unauthorized")
        await publish(w, at("subset"))
        refused(await bearer(w, idp.id_jag(agent), agent, resource=RESOURCE), "invalid_scope", "nobody was asked")


async def test_a_protected_agent_still_acts_on_its_own(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    await publish(w, guarded(agent))
    assert scopes(await w.client_credentials(agent.key, resource=RESOURCE)) == "tool:list_menu"


# ---- rules


async def test_rules_take_tools_away_at_the_page_and_at_the_token(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    night = (
        PERMIT + '@id("night") forbid(principal, action == Action::"create_order", resource) when {context.hour < 6};'
    )
    await publish(w, {"rules": night})
    assert scopes(await through_consent(w, agent)) == "tool:create_order tool:list_menu"
    w.clock.forward(timedelta(hours=15).total_seconds())  # 01:00
    agent.held.clear()
    w.grant(agent, capability("list_menu", "create_order"))
    page = await Browser(w).login(question(agent).path)
    assert "tool:create_order" not in page.text
    assert scopes(await through_consent(w, agent)) == "tool:list_menu"
    assert (await last_event(w))["details"]["rules"] == "base"
    answer = await w.client_credentials(agent.key, resource=RESOURCE, scope="tool:create_order")
    refused(answer, "invalid_scope", "after the rules of the policy")
    assert "create_order: night" in (await last_event(w))["details"]["rules"]


@pytest.mark.req("POL-01")
async def test_a_rule_that_cannot_be_evaluated_denies(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    overflow = "forbid(principal, action, resource) when { context.hour * 9223372036854775807 > 0 };"
    await publish(w, {"rules": PERMIT})
    assert scopes(await w.client_credentials(agent.key, resource=RESOURCE)) == "tool:list_menu"
    await publish(w, {"rules": PERMIT + overflow})
    refused(await w.client_credentials(agent.key, resource=RESOURCE), "invalid_scope")
    assert "could not be evaluated" in (await last_event(w))["details"]["rules"]


async def test_operators_reach_the_bridge_whatever_the_policy_says(w: World) -> None:
    await publish(w, {"rules": "permit(principal, action, resource) when { context.hour == 25 };"})
    assert (await w.http.get("/policy", headers=await w.admin_headers())).status_code == 200


# ---- the record


@pytest.mark.req("POL-04", "AUD-02")
async def test_what_was_recorded_is_enough_to_decide_it_again(w: World) -> None:
    """Every kind of decision, replayed under the policy it was made by, comes out as it did."""
    person = "https://people.example/ann"
    await w.put_user(person, "list_menu")
    agent, giver, personal = w.agent("orders", "list_menu"), w.agent("giver", "list_menu"), w.enrol("personal")
    credential = w.grant(personal, capability("list_menu", "create_order"), on_behalf_of=person)
    policy = {
        **guarded(agent, groups=["staff"], agents=[giver.did]),
        "roles": staff("update_stock"),
        "rules": PERMIT + 'forbid(principal in Group::"guests", action, resource);',
    }
    for members in ("staff", "guests"):
        await join(w, "smith", members)
        await publish(w, policy)
        await w.client_credentials(agent.key, resource=RESOURCE)
        await w.client_credentials(agent.key, resource=RESOURCE, scope="tool:delete_order")
        await w.exchange(await w.vp(personal, credential), scope="tool:list_menu")
        await w.exchange(await w.vp(personal, credential), scope="tool:create_order")
        if members == "guests":
            break
        token = (await through_consent(w, giver)).json()["access_token"]
        chain = [w.hand_on(giver.held[0], giver, agent, "list_menu"), giver.held[0]]
        await w.exchange(await w.vp(agent, *chain))
        await w.next_hop(token, await w.vp(agent, *chain))
        await through_consent(w, agent, scope="tool:list_menu")
    issued = [event for event in await w.events() if "facts" in event["details"]]
    assert [event["decision"] for event in issued].count("deny") == 4
    active = activate(parse_policy(policy), version=1, rules=Cedar().compile(policy["rules"]))
    same = replay(active, issued)
    assert (same.replayed, same.changes) == (len(issued), ())
    assert len(issued) == 12
    never = Cedar().compile("permit(principal, action, resource) when {false};")
    nothing = replay(activate(parse_policy({}), version=2, rules=never), issued)
    assert len(nothing.changes) == 8


@pytest.mark.req("DEL-05")
async def test_authorization_details_narrow_a_union_too_and_are_recorded(w: World) -> None:
    agent = w.agent("orders", "list_menu", "update_stock")
    await publish_union(w)
    code, verifier = await code_for(w, agent, scope="tool:list_menu tool:update_stock tool:create_order")
    wanted = [{"type": "attenuating_agent_token", "locations": [RESOURCE], "tools": {"update_stock": {}}}]
    answer = await redeem(w, agent, code, verifier, authorization_details=json.dumps(wanted))
    assert scopes(answer) == "tool:update_stock"
    said = await last_event(w)
    assert json.loads(said["details"]["facts"])["limits"]["authorization details"] == ["update_stock"]
    active = activate(parse_policy(at("union")), version=1)
    assert replay(active, [said]).changes == ()
