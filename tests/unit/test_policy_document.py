"""Policies as documents: roles, protected agents, saved decisions, lint and replay; and Cedar behind its port."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.adapters.cedar import Cedar
from did_agent.errors import ActorUnauthorized, BadPolicy, EmptyGrant, PolicyUnavailable
from did_agent.policy.active import ActivePolicy, Subject, activate
from did_agent.policy.cases import parse_cases, run_cases
from did_agent.policy.document import parse_policy
from did_agent.policy.evaluation import evaluate
from did_agent.policy.facts import Facts, parse_facts
from did_agent.policy.lint import lint
from did_agent.policy.replay import replay
from did_agent.policy.rules import Question

RESOURCE = "https://mcp.example/mcp"
AGENT, OTHER = "did:key:zA", "did:key:zB"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)  # a Monday
STAFF = {"waiter": {"groups": ["staff"], "tools": {RESOURCE: ["list_menu", "create_order"]}}}


def active(rules: str = "", **members: Any) -> ActivePolicy:
    document = parse_policy({**members, "rules": rules})
    return activate(document, version=3, rules=Cedar().compile(rules) if rules else None)


def facts(**members: Any) -> Facts:
    wire = {
        "resource": RESOURCE,
        "user": "smith",
        "groups": ["staff"],
        "agent": AGENT,
        "agent_tools": ["list_menu", "create_order", "delete_order"],
        **members,
    }
    return parse_facts(wire, default_time=NOW)


def test_a_role_gives_its_tools_to_who_has_it() -> None:
    policy = active(roles=STAFF)
    found = evaluate(policy, facts())
    assert found.granted == {"tool:list_menu", "tool:create_order"}
    assert (found.policy, found.digest) == ("intersection/3", policy.document.digest)
    assert not evaluate(policy, facts(groups=["guests"])).allowed
    assert evaluate(policy, facts(groups=[], rights=["list_menu"])).granted == {"tool:list_menu"}
    by_name = active(roles={"waiter": {"users": ["smith"], "tools": {RESOURCE: ["list_menu"]}}})
    assert evaluate(by_name, facts(groups=[])).granted == {"tool:list_menu"}
    assert not evaluate(by_name, facts(user="jones", groups=[])).allowed


def test_a_refusal_names_the_empty_term_and_both_answers() -> None:
    found = evaluate(active(roles=STAFF), facts(tools=["delete_order"]))
    assert found.reason == "empty_grant"
    assert found.explanation == (
        "nothing is left after the rights of the user; may the user: nothing; may the agent: tool:delete_order"
    )


@pytest.mark.req("DEL-03")
def test_a_protected_agent_is_set_to_work_by_its_own_people_alone() -> None:
    policy = active(roles=STAFF, agents=[{"agent": AGENT, "groups": ["staff"], "users": ["ann"], "agents": [OTHER]}])
    everyone = facts(rights=["list_menu"])
    assert evaluate(policy, everyone).allowed
    assert evaluate(policy, replace(everyone, user="ann", groups=frozenset())).allowed
    refused = evaluate(policy, replace(everyone, groups=frozenset({"guests"})))
    assert (refused.reason, refused.allowed) == ("actor_unauthorized", False)
    assert f"{AGENT} is protected: policy does not let smith have it act" in refused.explanation


@pytest.mark.req("DEL-03")
def test_every_link_of_a_chain_is_asked() -> None:
    policy = active(agents=[{"agent": AGENT, "agents": [OTHER]}])
    smith = Subject("smith", is_user=True)
    policy.require_triggers(smith, (AGENT, OTHER))  # smith has OTHER act, and OTHER hands on to AGENT
    policy.require_triggers(Subject(OTHER, is_user=False), (AGENT,))
    for subject, actors in (
        (smith, (AGENT,)),
        (smith, (OTHER, AGENT)),
        (Subject("did:key:zC", is_user=False), (AGENT,)),
    ):
        with pytest.raises(ActorUnauthorized):
            policy.require_triggers(subject, actors)
    named_like_it = Subject(OTHER, is_user=True)  # a user is never an agent (DEL-11)
    with pytest.raises(ActorUnauthorized):
        policy.require_triggers(named_like_it, (AGENT,))


def test_the_entry_of_every_agent_counts_where_there_is_no_other() -> None:
    policy = active(agents=[{"agent": "*", "groups": ["staff"]}, {"agent": OTHER, "users": ["smith"]}])
    guest = Subject("smith", is_user=True)
    policy.require_triggers(guest, (OTHER,))
    with pytest.raises(ActorUnauthorized):
        policy.require_triggers(guest, (AGENT,))


@pytest.mark.parametrize(
    ("wire", "where"),
    [
        ([], "the policy"),
        ({"role": {}}, "unknown members"),
        ({"roles": {"x": {"tools": {RESOURCE: ["two words"]}}}}, "roles.x.tools"),
        ({"roles": {"x": {"tools": {"no uri": ["a"]}}}}, "roles.x.tools"),
        ({"resources": {RESOURCE: {"mode": "anything"}}}, "mode is one of"),
        ({"resources": {RESOURCE: {"mode": ["union"]}}}, "mode is one of"),
        ({"agents": [{"agent": "smith"}]}, "no DID"),
        ({"agents": [{"agent": AGENT}, {"agent": AGENT}]}, "two entries"),
        ({"rules": 5}, "rules is not a string"),
        ({"arguments": {"a b": "Long"}}, "arguments"),
        ({"arguments": {"a": "Float"}}, "a type is one of"),
    ],
)
@pytest.mark.req("POL-02")
def test_a_policy_that_is_not_understood_is_refused(wire: Any, where: str) -> None:
    with pytest.raises(BadPolicy, match=where):
        parse_policy(wire)


PERMIT = '@id("base") permit(principal, action, resource);\n'


def test_rules_say_which_of_them_decided() -> None:
    night = PERMIT + '@id("night") forbid(principal, action == Action::"list_menu", resource) when {context.hour < 6};'
    policy = active(night, roles=STAFF)
    assert evaluate(policy, facts()).granted == {"tool:list_menu", "tool:create_order"}
    early = evaluate(policy, replace(facts(), time=NOW - timedelta(hours=5)))
    assert early.granted == {"tool:create_order"}
    assert "refused by rules: list_menu: night" in early.explanation
    assert early.rules == ("base", "night")


@pytest.mark.req("POL-01")
def test_a_rule_that_cannot_be_evaluated_is_a_no() -> None:
    risky = PERMIT + '@id("risky") forbid(principal, action, resource) when {context.risk > 50};'
    policy = active(risky, roles=STAFF)
    assert evaluate(policy, facts(risk=10)).allowed
    assert not evaluate(policy, facts(risk=90)).allowed
    # Without the attribute the condition fails.  Cedar itself would skip the forbid and answer Allow.
    failed = evaluate(policy, facts())
    assert (failed.allowed, failed.reason) == (False, "empty_grant")
    assert "nothing is left after the rules of the policy" in failed.explanation


def test_a_forbid_wins_over_every_permit() -> None:
    rules = (
        PERMIT + PERMIT.replace("base", "again") + '@id("never") forbid(principal in Group::"staff", action, resource);'
    )
    assert not evaluate(active(rules, roles=STAFF), facts()).allowed
    assert evaluate(active(rules, roles=STAFF), facts(groups=[], rights=["list_menu"])).allowed


def test_what_no_rule_permits_is_refused() -> None:
    policy = active('permit(principal, action == Action::"list_menu", resource);', roles=STAFF)
    assert evaluate(policy, facts()).granted == {"tool:list_menu"}
    assert not evaluate(policy, facts(tools=["create_order"])).allowed


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ('context.time < datetime("2026-11-24T00:00:00Z")', True),
        ("context.weekday == 1 && context.hour == 10", True),
        ('context.actors.contains(Agent::"did:key:zOld")', True),
        ('context.actors.contains(Agent::"did:key:zNobody")', False),
        ('context.agent == Agent::"did:key:zA"', True),
        ('principal in Role::"waiter"', True),
        ('context.client == "did:key:zA"', True),
        ('context has task && context.task == "t-1"', True),
        ("context has arguments && context.arguments has quantity && context.arguments.quantity == 3", True),
    ],
)
def test_rules_see_the_context(condition: str, allowed: bool) -> None:
    policy = active(f"permit(principal, action, resource) when {{ {condition} }};", roles=STAFF)
    asked = facts(actors=["did:key:zOld"], client=AGENT, task="t-1", arguments={"quantity": 3})
    assert evaluate(policy, asked).allowed is allowed


@pytest.mark.req("POL-01", "POL-02")
@pytest.mark.parametrize(
    "arguments", [{"quantity": "3"}, {"quantity": True}, {"quantity": {"__extn": {"fn": "decimal", "arg": "1.0"}}}, {}]
)
def test_arguments_of_another_kind_never_help(arguments: dict[str, object]) -> None:
    rule = PERMIT + "forbid(principal, action, resource) when { context.arguments.quantity > 5 };"
    policy = active(rule, roles=STAFF, arguments={"quantity": "Long"})
    assert evaluate(policy, facts(arguments={"quantity": 5})).allowed
    assert not evaluate(policy, facts(arguments={"quantity": 6})).allowed
    assert not evaluate(policy, facts(arguments=arguments)).allowed


def test_names_with_quotes_stay_names() -> None:
    policy = active(PERMIT + 'forbid(principal == User::"smith", action, resource);', roles=STAFF)
    assert evaluate(policy, facts(user='smith"\n', groups=["staff"])).allowed
    assert not evaluate(policy, facts()).allowed


def test_without_the_library_rules_deny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with pytest.raises(PolicyUnavailable):
        Cedar().compile(PERMIT)
    assert evaluate(active(roles=STAFF), facts()).allowed  # without rules nobody needs it


def test_an_unreadable_rule_is_no_policy() -> None:
    with pytest.raises(BadPolicy, match="rules: "):
        Cedar().compile("permit(princip")
    policy = active(PERMIT)
    question = Question(kind="user", principal="smith", resource=RESOURCE, now=NOW)
    with pytest.raises(EmptyGrant):
        policy.after_rules(question, frozenset({"issuer:admin"}))  # what is no tool, no rule permits


def found_in(wire: dict[str, Any], **known: Any) -> list[str]:
    resources = {RESOURCE: frozenset({"list_menu", "create_order"})}
    findings = lint(parse_policy(wire), language=Cedar(), **({"resources": resources} | known))
    return [f"{level} {where}: {message}" for level, where, message in findings]


def test_lint_finds_what_is_unknown_and_unreachable() -> None:
    assert found_in({"roles": STAFF, "rules": PERMIT}) == []
    assert found_in({"roles": {"x": {"tools": {RESOURCE: ["fly"]}}}}) == [
        "warning roles.x: unreachable: neither a group nor a user has it",
        f"error roles.x.tools: unknown tool fly at {RESOURCE}",
    ]
    assert found_in({"roles": {"x": {"users": ["a"], "tools": {"https://b.example": ["a"]}}}}) == [
        "error roles.x.tools: unknown resource https://b.example"
    ]
    assert found_in({"roles": {"x": {"users": ["a"]}}}) == ["warning roles.x: gives nothing: it names no tool"]
    assert found_in({"resources": {"https://b.example": {}}}) == [
        "error resources.https://b.example: unknown: no such resource is registered"
    ]
    assert found_in({"agents": [{"agent": AGENT}]}) == [
        f"warning agents.{AGENT}: nobody may have it act, not even through consent"
    ]
    assert found_in({"roles": STAFF}, groups=frozenset({"cooks"})) == ["warning groups.staff: nobody is in this group"]


def test_lint_finds_modes_that_contradict() -> None:
    closed = {"resources": {RESOURCE: {"mode": "agent_only", "autonomous": False}}, "roles": STAFF}
    assert [line.split(":")[0].split()[0] for line in found_in(closed)] == ["error", "warning"]
    assert "two must approve" in found_in({"resources": {RESOURCE: {"mode": "union"}}})[0]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("permit(", "error rules"),
        ('permit(principal, action == Action::"fly", resource);', 'unrecognized action `Action::"fly"`'),
        ("permit(principal, action, resource) when { context.mood > 1 };", "attribute `mood`"),
        (PERMIT + "forbid(principal, action, resource) when { context.risk > 1 };", "risk"),
        (PERMIT + "forbid(principal, action, resource) when { context.arguments.quantity > 1 };", "quantity"),
        ("forbid(principal, action, resource);", "no rule permits anything"),
    ],
)
@pytest.mark.req("POL-01")
def test_rules_are_validated_against_a_schema(rules: str, said: str) -> None:
    assert any(said in line for line in found_in({"rules": rules}))


def test_rules_about_declared_arguments_are_valid() -> None:
    guarded = "context has arguments && context.arguments has quantity && context.arguments.quantity > 5"
    wire = {"rules": PERMIT + f"forbid(principal, action, resource) when {{ {guarded} }};"}
    assert found_in({**wire, "arguments": {"quantity": "Long"}}) == []
    assert found_in({**wire, "arguments": {"quantity": "String"}}) != []


def case(name: str, expect: Any, **members: Any) -> dict[str, Any]:
    return {"name": name, "facts": facts(**members).to_json(), "expect": expect}


@pytest.mark.req("POL-05")
def test_saved_decisions_that_change_are_told_with_both_outcomes() -> None:
    saved = [
        case("a waiter reads", {"decision": "allow", "tools": ["list_menu"]}, tools=["list_menu"]),
        case("nobody deletes", "deny", tools=["delete_order"]),
        case("why not", {"decision": "deny", "reason": "empty_grant"}, tools=["delete_order"]),
    ]
    cases = parse_cases(saved, now=NOW)
    assert run_cases(active(roles=STAFF), cases) == []
    wider = active(roles={"waiter": {"groups": ["staff"], "tools": {RESOURCE: ["delete_order"]}}})
    (read, deleted, _why) = run_cases(wider, cases)
    assert (read.name, read.expected, read.found) == ("a waiter reads", "allow list_menu", "deny (empty_grant)")
    assert (deleted.expected, deleted.found) == ("deny", "allow delete_order")


@pytest.mark.parametrize(
    "spoiled",
    [
        {"facts": {}},
        {"expect": "maybe"},
        {"name": ""},
        {"more": 1},
        {"facts": {"resource": RESOURCE, "colour": "red"}},
        {"facts": {"resource": RESOURCE, "risk": True}},
        {"facts": {"resource": RESOURCE, "time": "noon"}},
        {"facts": {"resource": RESOURCE, "limits": []}},
    ],
)
def test_a_saved_decision_is_read_strictly(spoiled: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy):
        parse_cases([case("x", "deny") | spoiled], now=NOW)
    with pytest.raises(BadPolicy, match="same name"):
        parse_cases([case("x", "deny"), case("x", "allow")], now=NOW)


def event(decision: str = "allow", scope: str = "tool:list_menu", **members: Any) -> dict[str, Any]:
    details = {"scope": scope, "facts": facts(**members).recorded()}
    said = {"id": "e", "time": "t", "principal": "smith", "reason": "empty_grant", "details": details}
    return {**said, "decision": decision}


def test_a_replay_tells_what_would_change() -> None:
    recorded = [
        event(tools=["list_menu"]),
        event("deny", "", tools=["delete_order"]),
        {"id": "login", "details": {}},
        {"details": {"facts": "not json"}},
    ]
    same = replay(active(roles=STAFF), recorded)
    assert (same.replayed, same.skipped, same.changes) == (2, 2, ())
    wider = active(roles={"cook": {"groups": ["staff"], "tools": {RESOURCE: ["delete_order"]}}})
    lost, gained = replay(wider, recorded).changes
    assert (lost.was, lost.becomes) == ("allow list_menu", "deny (empty_grant)")
    assert (gained.was, gained.becomes) == ("deny (empty_grant)", "allow delete_order")
