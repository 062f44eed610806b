"""Granting over a life: templates, roles, requests, renewal, suspension and the end of it, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from did_agent.adapters.sql import open_database, transaction
from did_agent.credential.model import parse_capability_credential
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore
from issuer.adapters.tables import grants, notices
from issuer.model.status import Place
from tests.fakes.granting_desk import CAPABILITY, LESS, TEMPLATE, Desk, desk
from tests.fakes.issuer_world import recorded

OTHER = SigningKey.from_seed(b"o" * 32)


@pytest.fixture
async def at(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as opened:
        yield opened


async def told(at: Desk) -> list[tuple[str, str]]:
    """Return what waits for the bridge."""
    engine = open_database(str(at.where))
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(notices.c.kind, notices.c.subject).order_by(notices.c.seq))).all()
    await engine.dispose()
    return [(row.kind, row.subject) for row in rows]


async def bits(at: Desk, identifier: str) -> dict[str, bool]:
    """Return the status bits of a credential as they are flipped."""
    engine = open_database(str(at.where))
    store = SQLStore(engine)
    async with transaction(engine) as connection:
        row = (await connection.execute(select(grants).where(grants.c.id == identifier))).one()
    place = Place(list_number=row.list_number, index=row.list_index)
    async with store.work() as work:
        flips = await work.flips(place.list_number, after=None, since=0, limit=1_000)
    await engine.dispose()
    found = {flip.purpose: flip.value for flip in flips if flip.place == place.index}
    return {purpose: found.get(purpose, False) for purpose in ("revocation", "suspension")}  # type: ignore[call-overload]


async def test_an_agent_gets_what_its_roles_give_and_loses_it_with_them(at: Desk) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    credential = await at.with_role(agent)
    assert parse_capability_credential(credential).capabilities[0].tools.keys() == {"a", "b"}
    assert (await at.do("/credentials/collect", at.agent()))["credentials"] == []  # it has it
    given = (await at.get(f"/agents/{agent['agent_id']}/entitlements"))["entitlements"]
    assert [(one["role"], one["template"]["name"], one["template"]["version"]) for one in given] == [
        ("waiter", "menu", 1)
    ]
    shown = await at.get(f"/credentials/{credential['id']}")
    assert (shown["role"], shown["template"]) == ("waiter", "menu")

    body = {"kind": "agent", "target": agent["did"], "reason": "moved on"}
    assert (await at.do("/roles/waiter/unassign", admin, body))["revoked"] == 1
    assert await at.state(credential) == "revoked"
    assert (await bits(at, credential["id"]))["revocation"]
    assert ("credential-revoked", credential["id"]) in await told(at)
    assert (await at.do("/credentials/collect", at.agent()))["credentials"] == []


async def test_a_role_by_group_goes_with_the_group_alone(at: Desk) -> None:
    admin = at.person("admin")
    await at.do("/groups/kitchen", admin, {"description": ""}, method="PUT")
    agent = await at.onboard()
    await at.do("/groups/kitchen/members", admin, {"add": [agent["agent_id"]]})
    await at.do("/capabilities", admin, TEMPLATE)
    await at.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
    for kind, target in (("group", "kitchen"), ("agent", agent["agent_id"])):
        await at.do("/roles/waiter/assign", admin, {"kind": kind, "target": target})
    holders = await at.get("/roles/waiter/assignments")
    assert {one["kind"] for one in holders["assignments"]} == {"group", "agent"}
    (credential,) = (await at.do("/credentials/collect", at.agent()))["credentials"]
    body = {"kind": "group", "target": "kitchen", "reason": "closed"}
    assert (await at.do("/roles/waiter/unassign", admin, body))["revoked"] == 0  # the agent has it for itself
    assert await at.state(credential) == "active"
    body = {"kind": "agent", "target": agent["agent_id"], "reason": "closed"}
    assert (await at.do("/roles/waiter/unassign", admin, body))["revoked"] == 1


@pytest.mark.parametrize("how", ["template out of role", "role removed", "template withdrawn"])
async def test_what_a_role_or_template_gave_ends_with_it(at: Desk, how: str) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    credential = await at.with_role(agent)
    kept = await at.grant(agent)
    if how == "template out of role":
        await at.do("/capabilities", admin, {"name": "other", "capabilities": [LESS]})
        ended = await at.do("/roles", admin, {"name": "waiter", "templates": ["other"]})
    elif how == "role removed":
        ended = await at.do("/roles/waiter/remove", admin, {"reason": "gone"})
    else:
        ended = await at.do("/capabilities/menu/withdraw", admin, {"reason": "gone"})
    assert ended["revoked"] == 1
    assert (await at.state(credential), await at.state(kept)) == ("revoked", "active")


async def test_an_agent_renews_in_the_last_third_and_not_for_ever(at: Desk) -> None:
    agent = await at.onboard()
    first = await at.with_role(agent, renewable_seconds=40 * 3_600)
    path = f"/credentials/{first['id']}/renew"
    at.later(hours=15)
    assert await at.refused(path, at.agent(), {}) == "state_conflict"  # too early
    at.later(hours=1, seconds=1)
    second = (await at.do(path, at.agent(), {}))["credential"]
    assert (await at.do(path, at.agent(), {}))["credential"] == second  # asked again: the same
    assert await at.state(first) == "active"
    old, new = parse_capability_credential(first), parse_capability_credential(second)
    assert (new.capabilities, new.max_depth) == (old.capabilities, old.max_depth)
    assert second["validUntil"] == "2026-11-25T04:00:00Z"  # as decided at first, not a day from now
    at.later(hours=23)
    assert await at.refused(f"/credentials/{second['id']}/renew", at.agent(), {}) == "state_conflict"


async def test_a_renewal_may_end_the_old_one_at_once(at: Desk) -> None:
    agent = await at.onboard()
    first = await at.grant(agent, capabilities=[CAPABILITY], renewable_seconds=5 * 86_400)
    at.later(hours=20)
    answer = await at.do(f"/credentials/{first['id']}/renew", at.agent(), {"end_old": True})
    assert (await at.state(first), await at.state(answer["credential"])) == ("revoked", "active")


async def test_revoking_and_suspending_reach_what_was_renewed(at: Desk) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    first = await at.grant(agent, capabilities=[CAPABILITY], renewable_seconds=5 * 86_400)
    at.later(hours=20)
    second = (await at.do(f"/credentials/{first['id']}/renew", at.agent(), {}))["credential"]
    admin = at.person("admin")
    changed = await at.do(f"/credentials/{first['id']}/suspend", admin, {"reason": "odd"})
    assert changed["state"] == "suspended"
    for one in (first, second):
        assert await at.state(one) == "suspended"
        assert await bits(at, one["id"]) == {"revocation": False, "suspension": True}
        assert ("credential-suspended", one["id"]) in await told(at)
    assert await at.refused(f"/credentials/{second['id']}/renew", at.agent(), {}) == "state_conflict"
    assert await at.refused(f"/credentials/{first['id']}/suspend", admin, {"reason": "odd"}) == "state_conflict"
    await at.do(f"/credentials/{first['id']}/resume", admin, {"reason": "fine"})
    for one in (first, second):
        assert await at.state(one) == "active"
        assert await bits(at, one["id"]) == {"revocation": False, "suspension": False}
        assert ("credential-resumed", one["id"]) in await told(at)
    await at.do(f"/credentials/{first['id']}/revoke", admin, {"reason": "enough"})
    assert (await at.state(first), await at.state(second)) == ("revoked", "revoked")
    assert await at.refused(f"/credentials/{first['id']}/resume", admin, {"reason": "fine"}) == "state_conflict"


@pytest.mark.req("REV-03")
async def test_a_credential_suspended_for_itself_stays_so_when_its_agent_comes_back(at: Desk) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    alone, other = await at.grant(agent), await at.grant(agent)
    await at.do(f"/credentials/{alone['id']}/suspend", admin, {"reason": "odd"})
    await at.do(f"/agents/{agent['agent_id']}/suspend", admin, {"reason": "look"})
    assert (await bits(at, other["id"]))["suspension"]
    await at.do(f"/agents/{agent['agent_id']}/resume", admin, {"reason": "fine"})
    assert (await bits(at, alone["id"]))["suspension"]
    assert not (await bits(at, other["id"]))["suspension"]
    await at.do(f"/agents/{agent['agent_id']}/suspend", admin, {"reason": "look"})
    await at.do(f"/credentials/{alone['id']}/resume", admin, {"reason": "fine"})
    assert (await bits(at, alone["id"]))["suspension"]  # its agent is still suspended
    await at.do(f"/agents/{agent['agent_id']}/resume", admin, {"reason": "fine"})
    assert not (await bits(at, alone["id"]))["suspension"]


async def test_a_request_is_decided_by_somebody_else_and_perhaps_to_less(at: Desk) -> None:
    agent = await at.onboard()
    wanted = {"capabilities": [CAPABILITY], "reason": "lunch is near"}
    made = await at.do("/requests", at.agent(), wanted)
    assert (made["state"], made["by"]) == ("pending", agent["did"])
    pending = (await at.get("/requests?state=pending"))["requests"]
    assert [one["id"] for one in pending] == [made["id"]]
    path = f"/requests/{made['id']}"
    answer = await at.do(
        f"{path}/approve", at.person("admin"), {"reason": "ok", "capabilities": [LESS], "valid_seconds": 600}
    )
    assert answer["state"] == "approved"
    got = (await at.get(path, at.agent()))["credential"]
    parsed = parse_capability_credential(got)
    assert parsed.capabilities[0].tools.keys() == {"a"}
    assert parsed.subject == agent["did"]
    assert (await at.get(f"/credentials/{got['id']}"))["request"] == made["id"]
    assert await at.refused(f"{path}/deny", at.person("admin"), {"reason": "late"}) == "state_conflict"
    actions = [event.action for event in await recorded(str(at.where))]
    assert {"request.create", "request.approve", "credential.issue"} <= set(actions)


async def test_requests_end_by_denial_withdrawal_and_time(at: Desk) -> None:
    await at.onboard()
    body = {"capabilities": [LESS], "reason": "please", "expires_in": 60}
    first, second, third = [(await at.do("/requests", at.agent(), body))["id"] for _ in range(3)]
    await at.do(f"/requests/{first}/deny", at.person("manager"), {"reason": "no"})
    await at.do(f"/requests/{second}/withdraw", at.agent(), {"reason": "not needed"})
    at.later(seconds=61)
    states = {one["id"]: one["state"] for one in (await at.get("/requests"))["requests"]}
    assert states == {first: "denied", second: "withdrawn", third: "expired"}
    for one in (first, second, third):
        assert await at.refused(f"/requests/{one}/approve", at.person("admin"), {"reason": "ok"}) == "state_conflict"


async def test_a_role_that_was_asked_for_comes_with_the_approval(at: Desk) -> None:
    await at.onboard()
    admin = at.person("admin")
    await at.do("/capabilities", admin, {**TEMPLATE, "needs_approval": True})
    await at.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
    made = await at.do("/requests", at.agent(), {"role": "waiter", "reason": "my job"})
    await at.do(f"/requests/{made['id']}/approve", at.person("manager"), {"reason": "ok"})
    assert len((await at.do("/credentials/collect", at.agent()))["credentials"]) == 1
    (held,) = (await at.get("/roles/waiter/assignments"))["assignments"]
    assert held["request"] == made["id"]


async def test_many_credentials_are_issued_together_or_not_at_all(at: Desk) -> None:
    first, second = await at.onboard(), await at.onboard("other", OTHER)
    entries = [
        {"agent": first["agent_id"], "capabilities": [CAPABILITY]},
        {"agent": second["did"], "capabilities": [LESS], "valid_seconds": 60},
    ]
    admin = at.person("admin")
    made = (await at.do("/credentials/bulk", admin, {"entries": entries}))["credentials"]
    assert [one["credentialSubject"]["id"] for one in made] == [first["did"], second["did"]]
    assert len({one["credentialStatus"][0]["statusListIndex"] for one in made}) == 2
    broken = [*entries, {"agent": "urn:uuid:unknown", "capabilities": [LESS]}]
    assert await at.refused("/credentials/bulk", admin, {"entries": broken}) == "not_found"
    assert len((await at.get("/credentials"))["credentials"]) == 2


async def test_a_request_that_is_sent_twice_is_done_once(at: Desk) -> None:
    agent = await at.onboard()
    admin, path = at.person("admin"), f"/agents/{agent['agent_id']}/credentials"
    body, key = {"capabilities": [CAPABILITY]}, {"Idempotency-Key": "k1"}
    first = await at.ask("POST", path, admin, body, **key)
    again = await at.ask("POST", path, admin, body, **key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await at.ask("POST", path, admin, {"capabilities": [LESS]}, **key)
    assert other.json()["code"] == "state_conflict"
    another = await at.ask("POST", path, at.person("admin", "another"), body, **key)  # keys are everybody's own
    assert another.json() != first.json()
    assert len((await at.get("/credentials"))["credentials"]) == 2


async def test_organisations_and_templates_shorten_lives(at: Desk) -> None:
    agent, admin = await at.onboard(), at.person("admin")
    assert (await at.grant(agent))["validUntil"] == "2026-11-24T12:00:00Z"
    await at.do("/granting-policy", admin, {"max_valid_seconds": 3_600}, method="PUT")
    assert (await at.grant(agent))["validUntil"] == "2026-11-23T13:00:00Z"
    path = f"/agents/{agent['agent_id']}/credentials"
    body = {"capabilities": [LESS], "valid_seconds": 3_601}
    assert await at.refused(path, admin, body) == "invalid_parameter"
    await at.do("/capabilities", admin, {**TEMPLATE, "valid_seconds": 60})
    assert (await at.grant(agent, template="menu"))["validUntil"] == "2026-11-23T12:01:00Z"
