"""Laws of the decision at the call: nothing exceeds what was shown, rules only take away, and one law decides it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.credential.capability import parse_bare_capability, tool_scope
from did_agent.policy.active import ActivePolicy, activate
from did_agent.policy.caller import DID_NAMESPACE, Principal, VerifiedCaller
from did_agent.policy.combination import MODES
from did_agent.policy.decide import Call, decide, visible_tools
from did_agent.policy.document import parse_policy
from did_agent.policy.evaluation import evaluate
from did_agent.policy.facts import read_recorded
from did_agent.policy.rules import Question, Ruling
from tests.fakes.called import BRIDGE, NOW, RESOURCE

TOOLS = ("a", "b", "c")
AGENTS = ("did:key:zA", "did:key:zB", "did:key:zC")
SCOPES = st.frozensets(st.sampled_from([tool_scope(name) for name in TOOLS]))
AT_MOST = {"n": {"constraint_type": "range", "min": 0, "max": 5}}
CAPABILITIES = st.lists(
    st.dictionaries(st.sampled_from(TOOLS), st.sampled_from([{}, AT_MOST]), min_size=1), max_size=3
).map(lambda held: tuple(parse_bare_capability({"resource": [RESOURCE], "tools": tools}) for tools in held))
PEOPLE = st.builds(
    Principal,
    kind=st.just("user"),
    id=st.sampled_from(["smith", "jo"]),
    namespace=st.sampled_from([BRIDGE, "did:key:zIssuer"]),
)
ALONE = st.builds(Principal, kind=st.just("agent"), id=st.just("did:key:zRoot"), namespace=st.just(DID_NAMESPACE))


@st.composite
def callers(draw: Any) -> VerifiedCaller:
    principal = draw(PEOPLE | ALONE)
    return VerifiedCaller(
        principal=principal,
        actors=tuple(draw(st.lists(st.sampled_from(AGENTS), unique=True, max_size=3))),
        client_id="did:key:zA",
        scopes=draw(SCOPES),
        capabilities=draw(CAPABILITIES),
        entitlements=draw(SCOPES) if principal.kind == "user" else None,
        credential_ids=("urn:uuid:1",),
        evidence=None,
        groups=draw(st.frozensets(st.sampled_from(["staff", "guests"]))),
        task=draw(st.none() | st.just("t-1")),
    )


CALLS = st.builds(
    Call,
    resource=st.sampled_from([RESOURCE, RESOURCE, RESOURCE, "https://other.example"]),
    tool=st.sampled_from([*TOOLS, "d"]),
    arguments=st.sampled_from([{}, {"n": 3}, {"n": 9}, {"m": 1}]),
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "resources": st.fixed_dictionaries(
            {RESOURCE: st.fixed_dictionaries({"mode": st.sampled_from(MODES), "autonomous": st.booleans()})}
        ),
        "roles": st.just({"waiter": {"groups": ["staff"], "tools": {RESOURCE: ["a", "c"]}}}),
        "agents": st.just([{"agent": "did:key:zB", "groups": ["staff"], "agents": ["did:key:zC"]}]),
    },
)


class Refusing:
    """Rules that refuse some tools."""

    def __init__(self, tools: frozenset[str]) -> None:
        self.tools = tools

    def judge(self, question: Question, tools: Sequence[str]) -> Mapping[str, Ruling]:
        assert question.now == NOW
        return {tool: Ruling(allowed=tool_scope(tool) not in self.tools, rules=("r",)) for tool in tools}


def in_force(wire: dict[str, Any], refused: frozenset[str] | None = None) -> ActivePolicy:
    rules = None if refused is None else Refusing(refused)
    return activate(parse_policy(wire), version=3, rules=rules, issuer=BRIDGE)


@pytest.mark.req("DEL-04", "POL-03")
@given(caller=callers(), call=CALLS, wire=POLICIES)
def test_what_is_allowed_was_shown_and_each_term_allows_it(
    caller: VerifiedCaller, call: Call, wire: dict[str, Any]
) -> None:
    decision = decide(caller, call, policy=in_force(wire), now=NOW)
    terms = {term.name: term.allowed for term in decision.terms}
    assert decision.explanation
    assert (decision.reason == "allowed") == decision.allowed
    if not decision.allowed:
        assert not decision.covering
        return
    assert tool_scope(call.tool) in caller.scopes
    assert all(held in caller.capabilities and held.covers(call.tool, call.arguments) for held in decision.covering)
    assert decision.covering
    assert terms["agent"]
    assert terms["scope"]
    assert terms.get("user", True) or decision.mode == "union"
    is_chain = len(caller.actors) > 1 or caller.principal.namespace != BRIDGE
    assert decision.mode != "union" or not is_chain


@pytest.mark.req("POL-03")
@given(caller=callers(), call=CALLS, wire=POLICIES, refused=SCOPES)
def test_a_policy_only_takes_away_and_rules_take_more(
    caller: VerifiedCaller, call: Call, wire: dict[str, Any], refused: frozenset[str]
) -> None:
    without = decide(caller, call, policy=in_force(wire), now=NOW)
    ruled = decide(caller, call, policy=in_force(wire, refused), now=NOW)
    assert ruled.allowed == (without.allowed and tool_scope(call.tool) not in refused)
    if without.allowed and not wire.get("roles"):
        assert decide(caller, call).allowed or without.mode == "union"


@pytest.mark.req("POL-04")
@given(caller=callers(), call=CALLS, wire=POLICIES, refused=st.none() | SCOPES)
def test_the_recorded_facts_give_the_same_answer_by_the_law_of_issuing(
    caller: VerifiedCaller, call: Call, wire: dict[str, Any], refused: frozenset[str] | None
) -> None:
    policy = in_force(wire, refused)
    decision = decide(caller, call, policy=policy, now=NOW)
    again = evaluate(policy, read_recorded(decision.details(NOW)["facts"]))
    assert (again.allowed, again.mode, again.policy) == (decision.allowed, decision.mode, decision.policy)
    # What was worked out before is what is worked out anew.
    assert decide(caller, call, policy=policy, now=NOW) == decision


@given(caller=callers(), call=CALLS, wire=POLICIES, refused=st.none() | SCOPES)
def test_a_tool_that_is_not_listed_cannot_be_called(
    caller: VerifiedCaller, call: Call, wire: dict[str, Any], refused: frozenset[str] | None
) -> None:
    policy = in_force(wire, refused)
    if decide(caller, call, policy=policy, now=NOW).allowed:
        assert call.tool in visible_tools(caller, resource=call.resource, policy=policy, now=NOW)
