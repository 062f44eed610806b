"""Nobody grants what they lack, nobody says yes to themselves, and nothing grows by being renewed (WEB-04)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.chain import verify_chain
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.granting_desk import CAPABILITY, LESS, MORE, TEMPLATE, Desk, desk
from tests.fakes.issuer_world import KEY, RESOURCE, recorded
from tests.fakes.till import accounts_of

OTHER = SigningKey.from_seed(b"o" * 32)
LIFELONG = ({"maxCalls": 3}, {"singleUse": True}, {"maxAmount": "5", "currency": "EUR"})


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as opened:
        yield opened


@pytest.mark.req("WEB-04")
async def test_a_manager_grants_within_what_an_admin_allowed(at: Desk) -> None:
    agent = await at.onboard()
    path, manager, admin = f"/agents/{agent['agent_id']}/credentials", at.person("manager"), at.person("admin")
    assert await at.refused(path, manager, {"capabilities": [LESS]}) == "insufficient_scope"
    await at.do("/capabilities", admin, {**TEMPLATE, "managers": False})
    assert await at.refused(path, manager, {"template": "menu"}) == "insufficient_scope"
    await at.do("/capabilities", admin, TEMPLATE)
    await at.do(path, manager, {"template": "menu"})
    await at.do(path, manager, {"capabilities": [LESS]})
    for more in (
        {"capabilities": [MORE]},
        {"capabilities": [LESS], "max_depth": 2},
        {"capabilities": [LESS], "renewable_seconds": 60},
        {"capabilities": [{**LESS, "resource": ["https://other.example/mcp"]}]},
        {"template": "menu", "capabilities": [MORE]},
        {"template": "menu", "max_depth": 2},
    ):
        assert await at.refused(path, manager, more) in ("insufficient_scope", "invalid_parameter"), more
    await at.do("/granting-policy", admin, {"manager_resources": [RESOURCE]}, method="PUT")
    await at.do(path, manager, {"capabilities": [MORE]})
    mixed = {"capabilities": [{**MORE, "resource": [RESOURCE, "https://other.example/mcp"]}]}
    assert await at.refused(path, manager, mixed) == "insufficient_scope"
    refusals = [one for one in await recorded(at.where) if one.decision == "deny"]
    assert {one.reason for one in refusals} >= {"insufficient_scope"}


@pytest.mark.req("WEB-04")
async def test_the_ways_around_a_managers_bounds_are_bounded_too(at: Desk) -> None:
    agent, manager, admin = await at.onboard(), at.person("manager"), at.person("admin")
    await at.do("/capabilities", admin, {**TEMPLATE, "managers": False})
    await at.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
    whom = {"kind": "agent", "target": agent["agent_id"]}
    assert await at.refused("/roles/waiter/assign", manager, whom) == "insufficient_scope"
    entries = {"entries": [{"agent": agent["agent_id"], "capabilities": [LESS]}]}
    assert await at.refused("/credentials/bulk", manager, entries) == "insufficient_scope"
    asked = await at.do("/requests", at.agent(), {"capabilities": [LESS], "reason": "please"})
    assert await at.refused(f"/requests/{asked['id']}/approve", manager, {"reason": "ok"}) == "insufficient_scope"
    offer = {"agent": agent["agent_id"], "configurations": ["agent-capability"], "capabilities": [LESS]}
    assert await at.refused("/offers", manager, offer) == "insufficient_scope"
    for path, body, method in (
        ("/capabilities", TEMPLATE, "POST"),
        ("/roles", {"name": "chef", "templates": ["menu"]}, "POST"),
        ("/granting-policy", {"manager_resources": [RESOURCE]}, "PUT"),
        ("/webhooks", {"url": "https://hooks.example/x", "topics": ["*"]}, "POST"),
    ):
        assert await at.refused(path, manager, body, method=method) == "insufficient_scope"
    await at.do("/capabilities", admin, TEMPLATE)
    await at.do("/roles/waiter/assign", manager, whom)
    await at.do("/credentials/bulk", manager, entries)
    await at.do(f"/requests/{asked['id']}/approve", manager, {"reason": "ok"})
    await at.do("/offers", manager, offer)


@pytest.mark.req("WEB-04")
async def test_a_manager_puts_nobody_into_a_group_that_gets_more_than_managers_may_grant(at: Desk) -> None:
    agent, manager, admin = await at.onboard(), at.person("manager"), at.person("admin")
    await at.do("/groups/kitchen", admin, {"description": ""}, method="PUT")
    await at.do("/capabilities", admin, {**TEMPLATE, "managers": False})
    await at.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
    await at.do("/roles/waiter/assign", admin, {"kind": "group", "target": "kitchen"})
    members, member = "/groups/kitchen/members", {"add": [agent["agent_id"]]}
    assert await at.refused(members, manager, member) == "insufficient_scope"
    path = f"/agents/{agent['agent_id']}"
    assert await at.refused(path, manager, {"groups": ["kitchen"]}, method="PATCH") == "insufficient_scope"
    new = {"name": "spare", "sponsor": "Ops", "groups": ["kitchen"]}
    assert await at.refused("/agents", manager, new) == "insufficient_scope"
    await at.do("/capabilities", admin, TEMPLATE)
    await at.do(members, manager, member)
    (credential,) = (await at.do("/credentials/collect", at.agent()))["credentials"]
    await at.do(members, manager, {"remove": [agent["agent_id"]]})
    assert await at.state(credential) == "revoked"  # who leaves leaves what the group gave
    await at.do("/agents", manager, new)


@pytest.mark.req("WEB-04")
async def test_sponsors_ask_for_their_own_agents_and_grant_nothing(at: Desk) -> None:
    agent = await at.onboard()
    await at.onboard("theirs", OTHER, owner="did:key:somebody")
    sponsor, body = at.person("sponsor"), {"capabilities": [LESS], "reason": "please"}
    made = await at.do("/requests", sponsor, {"agent": agent["agent_id"], **body})
    assert (await at.get("/requests", sponsor))["requests"] == [made]
    other = {"agent": did_key(OTHER.public), **body}
    assert await at.refused("/requests", sponsor, other) == "not_found"
    assert await at.refused("/requests", at.agent(), other) == "not_found"  # an agent asks for itself
    theirs = await at.do("/requests", at.agent(OTHER), body)
    assert await at.refused(f"/requests/{theirs['id']}", sponsor, method="GET") == "not_found"
    assert await at.refused(f"/requests/{made['id']}/withdraw", at.agent(OTHER), {"reason": "ha"}) == "not_found"
    path = f"/agents/{agent['agent_id']}/credentials"
    assert await at.refused(path, sponsor, {"capabilities": [LESS]}) == "insufficient_scope"
    assert await at.refused(f"/requests/{made['id']}/approve", sponsor, {"reason": "ok"}) == "insufficient_scope"
    assert await at.refused(f"/requests/{made['id']}/approve", at.agent(), {"reason": "ok"}) == "insufficient_scope"
    await at.do(f"/requests/{made['id']}/approve", at.person("admin"), {"reason": "ok"})


@pytest.mark.req("WEB-04")
@pytest.mark.parametrize("who", ["sponsor", "admin"])
async def test_nobody_approves_what_they_asked_for_or_what_their_own_agent_gets(at: Desk, who: str) -> None:
    agent = await at.onboard()  # owned by "sponsor"
    asking = at.person("admin") if who == "admin" else at.agent()
    body = {"agent": agent["agent_id"], "capabilities": [LESS], "reason": "please"}
    made = await at.do("/requests", asking, body)
    involved = at.person("admin", who)  # an admin by role, and yet the one who asked or owns
    path = f"/requests/{made['id']}/approve"
    assert await at.refused(path, involved, {"reason": "ok"}) == "insufficient_scope"
    await at.do("/granting-policy", at.person("admin", "third"), {"separation": False}, method="PUT")
    await at.do(path, involved, {"reason": "ok"})


@pytest.mark.req("WEB-04")
async def test_what_needs_approval_is_not_granted_alone(at: Desk) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    await at.do("/capabilities", admin, {**TEMPLATE, "needs_approval": True})
    await at.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
    path = f"/agents/{agent['agent_id']}/credentials"
    assert await at.refused(path, admin, {"template": "menu"}) == "state_conflict"
    whom = {"kind": "agent", "target": agent["agent_id"]}
    assert await at.refused("/roles/waiter/assign", admin, whom) == "state_conflict"
    assert await at.refused(path, at.person("manager"), {"capabilities": [LESS]}) == "insufficient_scope"
    made = await at.do("/requests", at.agent(), {"template": "menu", "reason": "please"})
    answer = await at.do(f"/requests/{made['id']}/approve", admin, {"reason": "ok"})
    assert answer["credential"]["credentialSubject"]["id"] == agent["did"]


@pytest.mark.req("WEB-04")
@pytest.mark.parametrize(
    "more", [{"capabilities": [MORE]}, {"valid_seconds": 601}, {"max_depth": 2}, {"capabilities": [LESS, MORE]}]
)
async def test_an_approval_never_gives_more_than_was_asked_for(at: Desk, more: dict[str, Any]) -> None:
    await at.onboard()
    body = {"capabilities": [LESS], "valid_seconds": 600, "max_depth": 1, "reason": "please"}
    made = await at.do("/requests", at.agent(), body)
    path = f"/requests/{made['id']}/approve"
    assert await at.refused(path, at.person("admin"), {"reason": "ok", **more}) == "invalid_parameter"
    await at.do(path, at.person("admin"), {"reason": "ok", "valid_seconds": 599})


@pytest.mark.parametrize("body", [{}, {"role": "a", "template": "b"}, {"role": "waiter", "max_depth": 1}])
async def test_a_request_asks_for_one_thing(at: Desk, body: dict[str, Any]) -> None:
    await at.onboard()
    assert await at.refused("/requests", at.agent(), {"reason": "x", **body}) == "invalid_parameter"


async def test_an_agent_has_only_so_many_requests_open(at: Desk) -> None:
    await at.onboard()
    body = {"capabilities": [LESS], "reason": "please"}
    made = [await at.do("/requests", at.agent(), body) for _ in range(16)]
    assert await at.refused("/requests", at.agent(), body) == "too_many_pending"
    await at.do(f"/requests/{made[0]['id']}/withdraw", at.agent(), {"reason": "x"})
    await at.do("/requests", at.agent(), body)


async def test_a_renewal_is_the_holders_alone_and_only_while_everything_stands(at: Desk) -> None:
    agent = await at.onboard()
    await at.onboard("other", OTHER)
    admin = at.person("admin")
    plain = await at.grant(agent)
    renewable = await at.grant(agent, capabilities=[CAPABILITY], renewable_seconds=5 * 86_400)
    at.later(hours=20)
    assert await at.refused(f"/credentials/{plain['id']}/renew", at.agent(), {}) == "state_conflict"
    path = f"/credentials/{renewable['id']}/renew"
    assert await at.refused(path, at.agent(OTHER), {}) == "not_found"
    assert await at.refused(path, at.person("admin"), {}) == "insufficient_scope"
    await at.do(f"/agents/{agent['agent_id']}/suspend", admin := at.person("admin"), {"reason": "look"})
    assert await at.refused(path, at.agent(), {}) == "agent_not_active"
    await at.do(f"/agents/{agent['agent_id']}/resume", admin, {"reason": "fine"})
    await at.do(f"/credentials/{renewable['id']}/suspend", admin, {"reason": "look"})
    assert await at.refused(path, at.agent(), {}) == "state_conflict"
    await at.do(f"/credentials/{renewable['id']}/resume", admin, {"reason": "fine"})
    await at.do(path, at.agent(), {})


async def test_a_renewal_ends_where_its_role_or_template_gives_less_by_now(at: Desk) -> None:
    agent = await at.onboard()
    credential = await at.with_role(agent)
    path = f"/credentials/{credential['id']}/renew"
    at.later(hours=20)
    admin = at.person("admin")
    await at.do("/capabilities", admin, {**TEMPLATE, "capabilities": [LESS]})
    assert await at.refused(path, at.agent(), {}) == "state_conflict"
    await at.do(
        "/capabilities", admin, {**TEMPLATE, "capabilities": [{**CAPABILITY, "tools": {"a": {}, "b": {}, "c": {}}}]}
    )
    renewed = (await at.do(path, at.agent(), {}))["credential"]
    tools = renewed["credentialSubject"]["capability"][0]["tools"]
    assert tools.keys() == {"a", "b"}  # it never grows by being renewed


@pytest.mark.parametrize("limits", LIFELONG)
async def test_a_budget_does_not_begin_anew_by_a_renewal(at: Desk, limits: dict[str, Any]) -> None:
    agent = await at.onboard()
    first = await at.grant(agent, capabilities=[{**LESS, "limits": limits}], renewable_seconds=5 * 86_400)
    last = first
    for _ in range(2):
        at.later(hours=20)
        last = (await at.do(f"/credentials/{last['id']}/renew", at.agent(), {}))["credential"]
        assert last["credentialSubject"]["account"] == first["id"]
        assert accounts_of(last) == accounts_of(first)


async def test_a_budget_of_a_role_is_given_once_at_a_time(at: Desk) -> None:
    agent = await at.onboard()
    limited = [{**LESS, "limits": {"maxCalls": 3}}]
    await at.with_role(agent, capabilities=limited, renewable_seconds=0)
    at.later(hours=23, minutes=59)
    assert (await at.do("/credentials/collect", at.agent()))["credentials"] == []
    at.later(minutes=1)
    assert len((await at.do("/credentials/collect", at.agent()))["credentials"]) == 1


async def test_a_renewed_credential_verifies_like_any_other(at: Desk) -> None:
    agent = await at.onboard()
    first = await at.grant(agent, capabilities=[CAPABILITY], renewable_seconds=5 * 86_400)
    at.later(hours=20)
    second = (await at.do(f"/credentials/{first['id']}/renew", at.agent(), {}))["credential"]
    trusted = TrustedIssuers.of(did_key(KEY.public))
    chain = verify_chain([second], holder=agent["did"], trusted=trusted, now=at.now, max_depth=0)
    assert chain.leaf.subject == agent["did"]


async def test_idempotency_keys_are_read_strictly(at: Desk) -> None:
    agent = await at.onboard()
    path, admin = f"/agents/{agent['agent_id']}/credentials", at.person("admin")
    for key in ("", " ", "x" * 129, "ü"):
        answer = await at.http.post(
            path,
            json={"capabilities": [LESS]},
            headers=[*admin.items(), ("Idempotency-Key", key.encode())],
        )
        assert answer.status_code == 400, key
