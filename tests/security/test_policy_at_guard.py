"""Policy at a guarded server: rules reach the call, the list shows what is left, and without a policy nothing passes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from did_agent.credential.capability import parse_bare_capability
from did_agent.errors import PolicyStale
from did_agent.policy.active import ActivePolicy
from tests.fakes import called
from tests.fakes.guard_world import BRIDGE, RESOURCE, World, call, presentation, token

RULES = called.PERMIT + (
    '@id("sealed") forbid(principal, action == Action::"update_stock", resource) when '
    "{ context has arguments && context.arguments has quantity && context.arguments.quantity > 5 };"
)
LISTING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


class Following:
    """A source of whichever policy a test puts in force; None is one nobody confirmed."""

    def __init__(self, policy: ActivePolicy | None) -> None:
        self.policy = policy

    async def ready(self) -> None:
        """Nothing is waited for."""

    def current(self, now: datetime) -> ActivePolicy:
        if self.policy is None:
            raise PolicyStale(f"not confirmed at {now}")
        return self.policy


@pytest.fixture
def world() -> World:
    return World()


def follow(world: World, rules: str = "", **wire: Any) -> None:
    world.policies = Following(called.policy(rules, issuer=BRIDGE, **wire))


@pytest.mark.req("POL-03", "POL-04")
@pytest.mark.parametrize("shown", [token, presentation])
async def test_a_rule_about_arguments_refuses_the_call_through_either_door(world: World, shown: Any) -> None:
    follow(world, RULES, arguments={"quantity": "Long"})
    allowed = await world.send(shown(), call("update_stock", quantity=5))
    assert (allowed.status_code, len(world.received)) == (200, 1)
    refused = await world.send(shown(), call("update_stock", quantity=6))
    result = refused.json()["result"]
    assert result["isError"]
    assert result["_meta"]["org.did-agent/decision"]["reason"] == "refused_by_rules"
    assert "update_stock: sealed" in result["content"][0]["text"]
    assert len(world.received) == 1
    event = world.events[-1]
    assert (event.decision, event.reason, event.policy) == ("deny", "refused_by_rules", "agent_only/7")
    assert '"arguments_held_back":true' in event.details["facts"]


@pytest.mark.req("POL-01")
async def test_a_number_written_as_something_else_does_not_pass_a_rule(world: World) -> None:
    follow(world, RULES, arguments={"quantity": "Long"})
    for value in ("6", 5.5, [6], True):
        answer = await world.send(token(capabilities=token_capabilities()), call("update_stock", quantity=value))
        assert answer.json()["result"]["_meta"]["org.did-agent/decision"]["reason"] == "rule_failed", value
    assert not world.received


@pytest.mark.req("POL-03")
async def test_the_list_shows_what_the_policy_leaves(world: World) -> None:
    follow(world, RULES + 'forbid(principal, action == Action::"list_menu", resource);')
    shown = (await world.send(token(), LISTING)).json()["result"]["tools"]
    assert [one["name"] for one in shown] == ["list_menu", "update_stock"]  # rules about arguments hide nothing
    follow(world, called.PERMIT + 'forbid(principal, action == Action::"list_menu", resource);')
    answer = await world.send(token(), LISTING)
    assert [one["name"] for one in answer.json()["result"]["tools"]] == ["update_stock"]
    assert answer.json()["result"]["cacheScope"] == "private"


@pytest.mark.req("FCL")
async def test_without_a_policy_nothing_passes_and_that_is_on_record(world: World) -> None:
    world.policies = Following(None)
    for message, action in ((call("list_menu"), "tool.call"), (LISTING, "tools.list")):
        answer = await world.send(token(), message)
        assert (answer.status_code, answer.json()["code"]) == (503, "policy_stale")
        event = world.events[-1]
        assert (event.action, event.decision, event.reason) == (action, "deny", "policy_stale")
    assert not world.received
    follow(world)
    assert (await world.send(token(), call("list_menu"))).status_code == 200


def token_capabilities() -> Any:
    """Return a capability that takes any arguments, so that only the rule is left to refuse."""
    return (parse_bare_capability({"resource": [RESOURCE], "tools": {"update_stock": {}, "list_menu": {}}}),)
