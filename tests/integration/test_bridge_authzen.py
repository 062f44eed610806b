"""The bridge as policy decision point (OpenID AuthZEN 1.0): single questions, batches, who may ask, what is recorded."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.fakes.bridge_clients import basic, register
from tests.fakes.bridge_policy import PERMIT, at, guest, last_event, publish, staff
from tests.fakes.bridge_world import OTHER_RESOURCE, RESOURCE, Browser, World, capability, w
from tests.fakes.bridge_world import question as ask_consent

__all__ = ["w"]


def question(tool: str = "list_menu", user: str | None = "smith", **context: Any) -> dict[str, Any]:
    subject = {"type": "user", "id": user} if user else {"type": "agent", "id": context.pop("alone")}
    asked = {"subject": subject, "action": {"name": tool}, "resource": {"type": "mcp_server", "id": RESOURCE}}
    return {**asked, "context": context} if context else asked


async def ask(w: World, body: dict[str, Any], path: str = "evaluation", **headers: str) -> httpx2.Response:
    who = headers or await w.admin_headers()
    return await w.http.post(f"/access/v1/{path}", json=body, headers=who)


async def decided(w: World, body: dict[str, Any]) -> bool:
    answer = await ask(w, body)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["decision"])


async def test_the_metadata_says_where_to_ask(w: World) -> None:
    found = (await w.http.get("/.well-known/authzen-configuration")).json()
    assert found == {
        "policy_decision_point": w.url,
        "access_evaluation_endpoint": f"{w.url}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{w.url}/access/v1/evaluations",
    }


@pytest.mark.req("DEL-04", "POL-04")
async def test_an_answer_says_why_with_both_partial_answers(w: World) -> None:
    agent = w.agent("orders", "list_menu", "update_stock")
    answer = (await ask(w, question(agent=agent.did))).json()
    assert answer["decision"] is True
    assert answer["context"]["answers"] == {"user_may": "tool:list_menu", "agent_may": "tool:list_menu"}
    assert answer["context"]["policy"] == "intersection/0"
    refused = (await ask(w, question("update_stock", agent=agent.did))).json()
    assert refused["decision"] is False
    assert refused["context"]["reason"] == "empty_grant"
    assert "rights of the user" in refused["context"]["reason_admin"]["en"]
    assert refused["context"]["reason_user"] == {"en": "This is not allowed."}
    event = await last_event(w, "policy.evaluate")
    assert (event["decision"], event["principal"], event["target"]) == ("deny", "smith", "update_stock")
    assert event["details"]["agent_may"] == "tool:update_stock"
    assert json.loads(event["details"]["facts"])["agent"] == agent.did


async def test_whoever_the_bridge_does_not_know_may_nothing(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    assert await decided(w, question(agent=agent.did))
    assert not await decided(w, question(user="nobody", agent=agent.did))
    assert not await decided(w, question(agent="did:key:z6MkUnknown"))
    agent.state = "suspended"
    assert not await decided(w, question(agent=agent.did))
    agent.state = "active"
    assert await decided(w, question(user=None, alone=agent.did))
    assert not await decided(w, question("create_order", user=None, alone=agent.did))
    assert await decided(w, question())  # a program that smith runs, without an agent
    assert not await decided(w, question("update_stock"))
    elsewhere = question(agent=agent.did) | {"resource": {"type": "mcp_server", "id": w.url}}
    assert not await decided(w, elsewhere)  # the bridge itself is for operators


async def test_arguments_are_held_against_the_credential_and_the_rules(w: World) -> None:
    agent = w.enrol("orders")
    w.grant(agent, capability("create_order", create_order={"n": {"constraint_type": "range", "min": 1, "max": 9}}))
    rule = "forbid(principal, action, resource) when { context has arguments && context.arguments has n && context.arguments.n > 5 };"
    await publish(w, {"rules": PERMIT + rule, "arguments": {"n": "Long"}})
    assert await decided(w, question("create_order", agent=agent.did, arguments={"n": 5}))
    assert not await decided(w, question("create_order", agent=agent.did, arguments={"n": 6}))
    event = await last_event(w, "policy.evaluate")
    assert event["argument_digest"].startswith("sha-256:")
    kept = json.loads(event["details"]["facts"])  # without the values of arguments
    assert (kept["arguments_held_back"], "arguments" in kept) == (True, False)
    assert not await decided(w, question("create_order", agent=agent.did, arguments={"n": 10}))


async def test_task_and_risk_reach_the_rules_and_protected_agents_are_protected(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    rule = "forbid(principal, action, resource) when { context has risk && context.risk > 50 };"
    await publish(
        w, {"rules": PERMIT + rule, "roles": staff("list_menu"), "agents": [{"agent": agent.did, "groups": ["staff"]}]}
    )
    await guest(w, "ann", "staff")
    assert await decided(w, question(user="ann", agent=agent.did, risk=50, task="t-1"))
    assert not await decided(w, question(user="ann", agent=agent.did, risk=51))
    refused = (await ask(w, question(agent=agent.did))).json()
    assert refused["context"]["reason"] == "actor_unauthorized"


async def test_where_consent_is_demanded_the_one_that_was_given_counts(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    await publish(w, at("subset"))
    assert not await decided(w, question(agent=agent.did))
    asked = ask_consent(agent, scope="tool:list_menu tool:create_order offline_access")
    await Browser(w).consent(asked.path, ticks=["tool:list_menu"], offline=True)
    assert await decided(w, question(agent=agent.did))
    assert not await decided(w, question("create_order", agent=agent.did))
    other = w.agent("menus", "list_menu")
    assert not await decided(w, question(agent=other.did))
    w.clock.forward(31 * 86_400)
    assert not await decided(w, question(agent=agent.did))


async def test_a_batch_takes_what_is_said_outside_and_stops_where_it_is_told(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    tools = ["list_menu", "update_stock", "create_order"]
    body = {**question(agent=agent.did), "evaluations": [{"action": {"name": tool}} for tool in tools]}

    async def decisions(semantic: str) -> list[bool]:
        asked = {**body, "options": {"evaluations_semantic": semantic}}
        return [one["decision"] for one in (await ask(w, asked, "evaluations")).json()["evaluations"]]

    assert await decisions("execute_all") == [True, False, True]
    assert await decisions("deny_on_first_deny") == [True, False]
    assert await decisions("permit_on_first_permit") == [True]
    assert len([one for one in await w.events() if one["action"] == "policy.evaluate"]) == 6
    single = (await ask(w, question(agent=agent.did), "evaluations")).json()
    assert single["decision"] is True


@pytest.mark.req("WEB-04")
async def test_only_operators_parties_and_resource_servers_ask(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    body = question(agent=agent.did)
    server = basic("tools", await register(w, "tools", redirect_uris=[], resources=[RESOURCE]))
    assert (await ask(w, body, **server)).json()["decision"] is True
    assert (await last_event(w, "policy.evaluate"))["client_id"] == "tools"
    elsewhere = basic("maps", await register(w, "maps", redirect_uris=[], resources=[OTHER_RESOURCE]))
    answer = await ask(w, body, **elsewhere)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    # One question about somebody else's resource refuses the whole batch.
    mixed = {"evaluations": [{**body, "resource": {"type": "mcp_server", "id": OTHER_RESOURCE}}, body]}
    assert (await ask(w, mixed, "evaluations", **elsewhere)).status_code == 403
    assert (await w.http.post("/access/v1/evaluation", json=body)).status_code == 401
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    assert (await ask(w, body, Authorization=f"Bearer {token}")).status_code == 401


@pytest.mark.req("LIM-01", "WEB-03")
async def test_a_question_is_read_strictly(w: World) -> None:
    spoiled: list[dict[str, Any]] = [
        {"subject": None},
        {"subject": {"type": "robot", "id": "x"}},
        {"subject": {"type": "user", "id": ""}},
        {"action": {}},
        {"context": {"riskk": 3}},
        {"context": {"risk": -1}},
        {"context": {"actors": ["did:key:z"] * 9}},
        {"more": 1},
        {"evaluations": [{}] * 33},
    ]
    assert (await ask(w, question(), "evaluations")).status_code == 200
    for changes in spoiled:
        answer = await ask(w, {**question(), **changes}, "evaluations")
        assert answer.status_code == 400, f"{changes}: {answer.text}"


@pytest.mark.req("POL-02")
async def test_what_a_caller_says_about_others_is_not_read(w: World) -> None:
    body = question("update_stock")
    body["subject"]["properties"] = {"groups": ["staff"]}
    await publish(w, {"roles": staff("update_stock")})
    assert not await decided(w, body)
    await guest(w, "ann", "staff")
    body["subject"] = {"type": "user", "id": "ann"}
    assert await decided(w, body)
