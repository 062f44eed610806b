"""The law of granting (DEL-04): whatever is asked, held and consented, the grant is below every term."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.authority import granted_scopes, within
from bridge.model import Resource
from did_agent.credential.capability import Capability, covered_by, parse_bare_capability, scopes_of
from did_agent.errors import EmptyGrant

TOOLS = ("a", "b", "c", "d")
URL = "https://r.example"
RESOURCE = Resource(id=URL, name="R", scopes={f"tool:{tool}": tool for tool in TOOLS})

tools = st.sets(st.sampled_from(TOOLS))
scopes = tools.map(lambda names: frozenset(f"tool:{name}" for name in names))
constraints = st.sampled_from(
    [
        {},
        {"n": {"constraint_type": "range", "min": 0, "max": 10}},
        {"n": {"constraint_type": "range", "min": 2, "max": 5}},
        {"n": {"constraint_type": "exact", "value": 3}},
    ]
)


@st.composite
def capabilities(draw: st.DrawFn) -> Capability:
    named = {tool: draw(constraints) for tool in draw(tools)}
    return parse_bare_capability({"resource": [URL], "tools": named})


@pytest.mark.req("DEL-04", "DEL-05")
@given(
    requested=st.none() | scopes,
    held=st.lists(capabilities(), max_size=3),
    user=st.none() | scopes,
    consent=scopes,
)
def test_a_grant_is_below_every_term_and_never_empty(
    requested: frozenset[str] | None, held: list[Capability], user: frozenset[str] | None, consent: frozenset[str]
) -> None:
    terms = [frozenset(RESOURCE.scopes), scopes_of(held), consent, *(() if user is None else (user,))]
    if requested is not None:
        terms.append(requested)
    expected = frozenset.intersection(*terms)
    try:
        granted = granted_scopes(requested, RESOURCE, agent=held, user=user, earlier={"consent": consent}).granted
    except EmptyGrant:
        assert not expected
    else:
        assert granted == expected


@pytest.mark.req("DEL-05")
@given(held=st.lists(capabilities(), max_size=3), previous=st.lists(capabilities(), max_size=3))
def test_what_is_handed_to_the_next_hop_was_held_before_it(held: list[Capability], previous: list[Capability]) -> None:
    for kept in within(held, previous):
        for tool, arguments in kept.tools.items():
            one = Capability(resources=kept.resources, tools={tool: arguments}, limits=kept.limits)
            assert any(covered_by(one, earlier) for earlier in previous)
            assert any(covered_by(one, now) for now in held)
