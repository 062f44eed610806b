"""Groups in user tokens: those the published policy speaks of, and no others (RFC 9068, 2.2.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from did_agent.policy.document import parse_policy
from did_agent.policy.groups import spoken_of
from tests.fakes.bridge_policy import PERMIT, join, publish, staff
from tests.fakes.bridge_world import RESOURCE, Actor, World, claims_of, code_for, redeem, w

__all__ = ["w"]


async def claims(w: World, agent: Actor) -> dict[str, Any]:
    answer = await redeem(w, agent, *await code_for(w, agent))
    assert answer.status_code == 200, answer.text
    return dict(claims_of(answer.json()["access_token"]))


@pytest.mark.req("POL-04")
async def test_a_token_names_the_groups_that_policy_speaks_of_and_no_others(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    await join(w, "smith", "staff", "cooks", "works-council")
    assert "groups" not in await claims(w, agent)
    await publish(w, {"roles": staff("list_menu")})
    assert (await claims(w, agent))["groups"] == ["staff"]
    forbid = '@id("no cooks") forbid(principal in Group::"cooks", action == Action::"delete_order", resource);'
    await publish(w, {"roles": staff("list_menu"), "rules": PERMIT + forbid})
    assert (await claims(w, agent))["groups"] == ["cooks", "staff"]
    guarded = [{"agent": agent.did, "groups": ["works-council"]}]
    await publish(w, {"agents": guarded})
    assert (await claims(w, agent))["groups"] == ["works-council"]


async def test_an_agent_on_its_own_has_no_groups(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    await publish(w, {"roles": staff("list_menu")})
    answer = await w.client_credentials(agent.key, resource=RESOURCE)
    assert "groups" not in claims_of(answer.json()["access_token"])


@pytest.mark.req("POL-01")
def test_a_rule_that_writes_names_with_escapes_misses_no_group() -> None:
    plain = parse_policy({"rules": 'forbid(principal in Group::"cooks", action, resource);'})
    escaped = parse_policy({"rules": 'forbid(principal in Group::"\\u{63}ooks", action, resource);'})
    assert spoken_of(plain, {"cooks", "staff"}) == {"cooks"}
    assert spoken_of(escaped, {"cooks", "staff"}) == {"cooks", "staff"}
