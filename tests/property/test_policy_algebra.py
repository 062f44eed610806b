"""Laws of combining rights: nothing exceeds its terms, and rules, modes and chains only take away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.errors import EmptyGrant
from did_agent.policy.active import activate
from did_agent.policy.combination import CONSENT, MODES, PREVIOUS, PolicyMode, Terms, combine
from did_agent.policy.document import PolicyDocument, ResourceRule, parse_policy
from did_agent.policy.evaluation import evaluate
from did_agent.policy.facts import Facts, parse_facts, read_recorded
from did_agent.policy.rules import Question, Ruling

RESOURCE = "https://mcp.example/mcp"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
TOOLS = ("a", "b", "c", "d", "e")
SCOPES = st.frozensets(st.sampled_from([f"tool:{name}" for name in TOOLS]))
MODE = st.sampled_from(MODES)
LIMITS = st.dictionaries(st.sampled_from(["resource", CONSENT, PREVIOUS, "identity assertion"]), SCOPES, max_size=4)
TERMS = st.builds(
    Terms, requested=st.none() | SCOPES, limits=LIMITS, user=st.none() | SCOPES, agent=SCOPES, is_chain=st.booleans()
)


def granted(mode: PolicyMode, terms: Terms, *, autonomous: bool = True) -> frozenset[str]:
    """Return what is granted; a refusal is nothing."""
    try:
        return combine(mode, terms, autonomous=autonomous).granted
    except EmptyGrant:
        return frozenset()


@pytest.mark.req("DEL-04")
@given(terms=TERMS)
def test_an_intersection_is_below_both_sides_and_every_limit(terms: Terms) -> None:
    found = granted("intersection", terms)
    assert terms.user is None or found <= terms.user
    assert found <= (terms.agent or frozenset())
    assert terms.requested is None or found <= terms.requested
    assert all(found <= limit for limit in terms.limits.values())


@pytest.mark.req("DEL-04")
@given(terms=TERMS)
def test_a_subset_is_below_the_intersection_and_nothing_without_consent(terms: Terms) -> None:
    found = granted("subset", terms)
    assert found <= granted("intersection", terms)
    if terms.user is not None and not terms.limits.keys() & {CONSENT, PREVIOUS}:
        assert not found


@pytest.mark.req("DEL-04", "DEL-08")
@given(mode=MODE, terms=TERMS, autonomous=st.booleans())
def test_only_a_union_without_chain_exceeds_the_agents_credential(
    mode: PolicyMode, terms: Terms, autonomous: bool
) -> None:
    found = granted(mode, terms, autonomous=autonomous)
    is_union = mode == "union" and not terms.is_chain and terms.user is not None
    assert is_union or found <= (terms.agent or frozenset())
    # Even a union stays within what was asked for, within the consent, and within one of the two sides.
    assert found <= (terms.agent or frozenset()) | (terms.user or frozenset())
    assert all(found <= limit for limit in terms.limits.values())
    assert terms.requested is None or found <= terms.requested


@given(mode=MODE, terms=TERMS)
def test_an_agent_on_its_own_gets_what_it_may_unless_the_resource_wants_a_user(mode: PolicyMode, terms: Terms) -> None:
    alone = Terms(requested=terms.requested, limits=terms.limits, user=None, agent=terms.agent)
    assert granted(mode, alone) == granted("agent_only", alone)
    assert not granted(mode, alone, autonomous=False)
    if terms.user is not None:
        assert not granted("agent_only", terms)


@given(mode=MODE, terms=TERMS)
def test_both_partial_answers_are_always_there(mode: PolicyMode, terms: Terms) -> None:
    try:
        said = combine(mode, terms).explanation
    except EmptyGrant as error:
        assert {"user_may", "agent_may", "mode"} <= error.facts.keys()
        assert error.terms == terms
        assert "nothing" in error.detail
    else:
        assert said.startswith("may the user: ")
        assert "; may the agent: " in said


class Refusing:
    """Rules that refuse some tools."""

    def __init__(self, tools: frozenset[str]) -> None:
        self.tools = tools

    def judge(self, question: Question, tools: list[str]) -> dict[str, Ruling]:
        assert question.resource == RESOURCE
        return {tool: Ruling(allowed=f"tool:{tool}" not in self.tools, rules=("r",)) for tool in tools}


@pytest.mark.req("POL-03")
@given(mode=MODE, terms=TERMS, refused=SCOPES)
def test_rules_only_take_away(mode: PolicyMode, terms: Terms, refused: frozenset[str]) -> None:
    document = PolicyDocument(resources={RESOURCE: ResourceRule(mode=mode)})
    facts = Facts(
        resource=RESOURCE,
        time=NOW,
        user=None if terms.user is None else "smith",
        rights=terms.user or frozenset(),
        agent="did:key:zA",
        agent_tools=terms.agent,
        chain=terms.is_chain,
        tools=terms.requested,
        limits=terms.limits,
    )
    without = evaluate(activate(document, version=1), facts)
    ruled = evaluate(activate(document, version=1, rules=Refusing(refused)), facts)  # type: ignore[arg-type]
    assert without.granted == granted(mode, terms)
    assert ruled.granted == without.granted - refused
    # What was recorded is enough to decide again.
    assert read_recorded(facts.recorded() or "") == facts == parse_facts(facts.to_json())


NAMES = st.frozensets(st.sampled_from(["smith", "staff", "cooks", "did:key:zA"]), max_size=3)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "roles": st.dictionaries(
            st.sampled_from(["waiter", "cook"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "groups": NAMES.map(sorted),
                    "users": NAMES.map(sorted),
                    "tools": st.just({RESOURCE: ["a", "b"]}),
                },
            ),
        ),
        "resources": st.dictionaries(
            st.just(RESOURCE), st.fixed_dictionaries({"mode": MODE}, optional={"autonomous": st.booleans()})
        ),
        "agents": st.just([{"agent": "did:key:zA", "groups": ["staff"]}]),
        "rules": st.just("permit(principal, action, resource);"),
        "arguments": st.just({"quantity": "Long"}),
    },
)


@given(wire=DOCUMENTS)
def test_a_document_is_what_it_was_written_as(wire: dict[str, object]) -> None:
    document = parse_policy(wire)
    assert parse_policy(document.to_json()) == document
    assert parse_policy(document.to_json()).digest == document.digest
