"""Policy at the call: modes, protected agents and rules take away from what was shown, and say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from did_agent.credential.capability import parse_bare_capability
from did_agent.policy.active import ActivePolicy
from did_agent.policy.caller import Principal, VerifiedCaller
from did_agent.policy.decide import Call, Decision, decide, visible_tools
from did_agent.policy.facts import read_recorded
from did_agent.policy.replay import replay
from tests.fakes.called import AGENT, BRIDGE, NOW, OLDER, PERMIT, RESOURCE, alone, at, call, person, policy

LARGE = '@id("large") forbid(principal, action, resource) when { context.arguments has n && context.arguments.n > 20 };'
NUMBERS = {"arguments": {"n": "Long"}}


def asked(caller: VerifiedCaller, one: Call, under: ActivePolicy, **more: Any) -> Decision:
    return decide(caller, one, policy=under, now=NOW, **more)


def reason(caller: VerifiedCaller, tool: str, under: ActivePolicy, **arguments: object) -> str:
    return asked(caller, call(tool, **arguments), under).reason


# ---- modes


@pytest.mark.req("DEL-04", "POL-04")
def test_every_decision_names_mode_version_and_digest() -> None:
    under = policy(resources=at("subset"))
    decision = asked(person(), call("create_order"), under)
    assert (decision.allowed, decision.policy, decision.digest) == (True, "subset/7", under.digest)
    refused = asked(person(), call("delete_order"), under)
    assert (refused.reason, refused.policy, refused.digest) == ("agent_not_capable", "subset/7", under.digest)


@pytest.mark.req("DEL-04")
def test_a_resource_for_agents_on_their_own_takes_no_user_and_the_reverse() -> None:
    assert reason(person(), "create_order", policy(resources=at("agent_only"))) == "mode_refused"
    assert reason(alone(), "create_order", policy(resources=at("agent_only"))) == "allowed"
    guided = policy(resources=at("intersection", autonomous=False))
    assert reason(person(), "create_order", guided) == "allowed"
    refused = asked(alone(), call("create_order"), guided)
    assert (refused.reason, "takes no agent on its own" in refused.explanation) == ("mode_refused", True)


@pytest.mark.req("DEL-04")
def test_a_subset_needs_a_token_of_the_bridge_because_nobody_else_was_asked() -> None:
    under = policy(resources=at("subset"))
    assert reason(person(), "create_order", under) == "allowed"
    elsewhere = replace(person(), principal=Principal(kind="user", id="smith", namespace="did:key:zIssuer"))
    assert reason(elsewhere, "create_order", under) == "mode_refused"
    assert reason(elsewhere, "create_order", policy()) == "allowed"


@pytest.mark.req("DEL-04", "DEL-08")
def test_a_union_is_either_but_never_beyond_what_was_shown_and_never_for_chains() -> None:
    under, unentitled = policy(resources=at("union")), person(entitlements=frozenset())
    decision = asked(unentitled, call("create_order"), under)
    assert (decision.allowed, decision.mode) == (True, "union")
    assert "approval of two operators" in decision.details(NOW)["union"]
    assert [(term.name, term.allowed) for term in decision.terms][:2] == [("agent", True), ("user", False)]
    # The user may delete, but nothing shown says so.
    assert reason(person(), "delete_order", under) == "agent_not_capable"
    assert reason(replace(unentitled, scopes=frozenset()), "create_order", under) == "scope_not_granted"
    handed_on = replace(unentitled, actors=(AGENT, OLDER))
    chained = asked(handed_on, call("create_order"), under)
    assert (chained.reason, chained.allowed) == ("user_not_entitled", False)
    stranger = replace(unentitled, principal=Principal(kind="user", id="smith", namespace="did:key:zIssuer"))
    assert not asked(stranger, call("create_order"), under).allowed


@pytest.mark.req("DEL-04")
def test_a_program_without_agent_is_bound_by_its_token_in_every_mode() -> None:
    program = person(actors=(), client_id="notebook")
    assert reason(program, "create_order", policy(resources=at("union"))) == "allowed"
    assert reason(program, "delete_order", policy(resources=at("union"))) == "agent_not_capable"
    assert "the application notebook may call" in asked(program, call("list_menu"), policy()).explanation


# ---- roles and people


@pytest.mark.req("DEL-11")
def test_roles_and_groups_are_those_of_the_bridges_people_alone() -> None:
    roles = {"waiter": {"groups": ["staff"], "users": ["jo"], "tools": {RESOURCE: ["create_order"]}}}
    under, bare = policy(roles=roles), person(entitlements=frozenset())
    assert reason(bare, "create_order", under) == "user_not_entitled"
    assert reason(replace(bare, groups=frozenset({"staff"})), "create_order", under) == "allowed"
    jo = replace(bare, principal=Principal(kind="user", id="jo", namespace=BRIDGE))
    assert reason(jo, "create_order", under) == "allowed"
    stranger = replace(bare, principal=Principal(kind="user", id="jo", namespace="did:key:zI"))
    assert reason(replace(stranger, groups=frozenset({"staff"})), "create_order", under) == "user_not_entitled"


@pytest.mark.req("DEL-11")
def test_a_rule_never_takes_somebody_elses_smith_for_ours() -> None:
    only_smith = policy('permit(principal == User::"smith", action, resource);')
    assert reason(person(), "create_order", only_smith) == "allowed"
    stranger = replace(person(), principal=Principal(kind="user", id="smith", namespace="https://idp.example"))
    assert reason(stranger, "create_order", only_smith) == "refused_by_rules"
    assert reason(alone(), "create_order", only_smith) == "refused_by_rules"


# ---- protected agents


@pytest.mark.req("DEL-03", "DEL-09")
def test_a_protected_agent_acts_only_for_whom_policy_names_wherever_it_stands() -> None:
    guarded = policy(agents=[{"agent": OLDER, "users": ["jo"], "agents": [AGENT]}])
    chain = person(actors=(AGENT, OLDER))
    refused = asked(chain, call("create_order"), guarded)
    assert (refused.reason, OLDER in refused.explanation) == ("actor_unauthorized", True)
    jo = replace(chain, principal=Principal(kind="user", id="jo", namespace=BRIDGE))
    assert asked(jo, call("create_order"), guarded).allowed
    assert asked(person(), call("create_order"), guarded).allowed
    handing = policy(agents=[{"agent": AGENT, "agents": ["did:key:zThird"]}])
    assert reason(alone(actors=(AGENT,), principal=_agent(OLDER)), "create_order", handing) == "actor_unauthorized"
    named = policy(agents=[{"agent": AGENT, "agents": [OLDER]}])
    assert reason(alone(actors=(AGENT,), principal=_agent(OLDER)), "create_order", named) == "allowed"


@pytest.mark.req("DEL-09")
def test_a_rule_refuses_an_agent_anywhere_in_the_chain() -> None:
    banned = policy(
        PERMIT
        + f'@id("banned") forbid(principal, action, resource) when {{ context.actors.contains(Agent::"{OLDER}") }};'
    )
    assert reason(person(), "create_order", banned) == "allowed"
    refused = asked(person(actors=(AGENT, OLDER)), call("create_order"), banned)
    assert (refused.reason, refused.rules) == ("refused_by_rules", ("banned",))
    assert reason(alone(actors=(AGENT,), principal=_agent(OLDER)), "create_order", banned) == "refused_by_rules"


# ---- rules


@pytest.mark.req("POL-03")
def test_rules_see_arguments_task_risk_and_time_and_only_take_away() -> None:
    large = policy(PERMIT + LARGE, **NUMBERS)
    assert reason(person(), "create_order", large, n=20) == "allowed"
    refused = asked(person(), call("create_order", n=21), large)
    assert (refused.reason, refused.rules, refused.covering) == ("refused_by_rules", ("large",), ())
    assert "create_order: large" in refused.explanation
    assert "the agent did:key:z6Mki…ooWp may call create_order; user smith may" in refused.explanation
    everything = policy(PERMIT)
    assert reason(person(), "delete_order", everything) == "agent_not_capable"
    for condition, caller, risk in (
        ('context has task && context.task == "t-1"', person(task="t-1"), None),
        ("context has risk && context.risk > 80", person(), 81),
        ("context.hour >= 22", person(), None),
        ('context.client == "' + AGENT + '"', person(), None),
    ):
        ruled = policy(PERMIT + f"forbid(principal, action, resource) when {{ {condition} }};")
        assert asked(caller, call("create_order"), ruled, risk=risk).reason == "refused_by_rules", condition
    assert asked(person(), call("create_order"), policy(PERMIT), risk=81).allowed


@pytest.mark.req("POL-01")
@pytest.mark.parametrize("value", [20.5, "21", True, [21], {"n": 21}, 2**70])
def test_an_argument_of_another_type_than_rules_expect_is_refused(value: object) -> None:
    assert reason(person(), "create_order", policy(PERMIT + LARGE, **NUMBERS), n=value) == "rule_failed"


@pytest.mark.req("POL-01")
def test_a_whole_number_is_one_however_it_is_written() -> None:
    large = policy(PERMIT + LARGE, **NUMBERS)
    assert reason(person(), "create_order", large, n=21.0) == "refused_by_rules"
    assert reason(person(), "create_order", large, n=20.0) == "allowed"
    assert reason(person(), "create_order", large, n=None) == "allowed"  # as if it were left out
    assert reason(person(), "create_order", large, other=[1]) == "allowed"


@pytest.mark.req("POL-01")
def test_a_rule_that_cannot_be_evaluated_refuses() -> None:
    careless = policy(PERMIT + "forbid(principal, action, resource) when { context.arguments.n > 20 };", **NUMBERS)
    assert reason(person(), "create_order", careless, n=1) == "allowed"
    refused = asked(person(), call("create_order"), careless)
    assert (refused.allowed, refused.reason) == (False, "rule_failed")


@pytest.mark.req("POL-01")
def test_rules_without_the_time_are_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="time"):
        decide(person(), call("list_menu"), policy=policy(PERMIT))


# ---- what is remembered


def test_what_was_worked_out_for_a_caller_counts_under_one_policy_only() -> None:
    one, before, after = person(), policy(), policy(resources=at("agent_only"), version=8)
    assert asked(one, call("create_order"), before).allowed
    assert not asked(one, call("create_order"), after).allowed
    assert asked(one, call("create_order"), before) == asked(one, call("create_order"), before)
    assert one == replace(one)


def test_names_nobody_gave_are_not_remembered() -> None:
    one = person()
    for number in range(50):
        assert reason(one, f"tool{number}", policy()) == "agent_not_capable"
    assert not one.memo


def test_which_capabilities_cover_is_found_with_each_call() -> None:
    low, high = (
        parse_bare_capability(
            {"resource": [RESOURCE], "tools": {"create_order": {"n": {"constraint_type": "range", "min": a, "max": b}}}}
        )
        for a, b in ((0, 5), (3, 9))
    )
    one = person(capabilities=(low, high))
    for number, covering in ((1, (low,)), (4, (low, high)), (8, (high,)), (1, (low,)), (10, ())):
        assert asked(one, call("create_order", n=number), policy()).covering == covering


# ---- lists of tools


@pytest.mark.req("POL-03")
def test_a_list_shows_what_the_policy_could_allow() -> None:
    def shown(caller: VerifiedCaller, under: ActivePolicy) -> frozenset[str]:
        return visible_tools(caller, resource=RESOURCE, policy=under, now=NOW)

    both = {"list_menu", "create_order"}
    assert shown(person(), policy()) == both
    assert shown(person(entitlements=frozenset({"tool:list_menu"})), policy()) == {"list_menu"}
    assert shown(person(), policy(resources=at("agent_only"))) == frozenset()
    assert shown(person(), policy(agents=[{"agent": AGENT, "users": ["jo"]}])) == frozenset()
    no_orders = 'forbid(principal, action == Action::"create_order", resource);'
    assert shown(person(), policy(PERMIT + no_orders)) == {"list_menu"}
    # Some call of it could be allowed: only the call itself can tell.
    assert shown(person(), policy(PERMIT + LARGE, **NUMBERS)) == both


# ---- the record


@pytest.mark.req("POL-04", "AUD-01")
def test_the_record_of_a_call_decides_it_again_without_its_arguments() -> None:
    under = policy(resources=at("subset"))
    decision = asked(person(groups=frozenset({"staff"}), task="t-1"), call("create_order", n=4711), under)
    details = decision.details(NOW)
    assert (details["scope"], details["policy_digest"]) == ("tool:create_order", under.digest)
    assert details["user_may"] == "tool:create_order"
    assert "4711" not in str(details)
    facts = read_recorded(details["facts"])
    assert (facts.time, facts.user, facts.task, facts.groups) == (NOW, "smith", "t-1", {"staff"})
    event = {"id": "1", "time": "t", "principal": "smith", "decision": "allow", "details": details}
    assert not replay(under, [event]).changes
    found = replay(policy(resources=at("agent_only"), version=8), [event])
    assert [(one.was, one.becomes) for one in found.changes] == [("allow create_order", "deny (empty_grant)")]
    # What it did with the arguments nobody can tell any more.
    assert replay(policy(PERMIT + LARGE, **NUMBERS), [event]).skipped == 1


@pytest.mark.req("POL-04")
def test_a_refusal_by_rules_is_recorded_with_them() -> None:
    decision = asked(person(), call("create_order", n=30), policy(PERMIT + LARGE, **NUMBERS))
    assert "create_order: large" in decision.details(NOW)["rules"]
    assert "scope" not in decision.details(NOW)


def test_what_something_else_refused_is_not_replayed_as_policys_word() -> None:
    decision = replace(asked(person(), call("create_order"), policy()), allowed=False, reason="limit_reached")
    assert decision.details(NOW) == {"policy_digest": decision.digest}


def _agent(did: str) -> Principal:
    return Principal(kind="agent", id=did, namespace="did")
