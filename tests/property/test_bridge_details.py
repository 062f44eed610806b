"""Laws of authorization details: what is granted is within what is held and within what was asked (RFC 9396; DEL-05)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.authorization_details import in_words, meet, parse
from did_agent.credential.capability import DETAIL_TYPE, Capability, covered_by, parse_bare_capability

PLACE = "https://tools.example/mcp"
numbers = st.integers(min_value=0, max_value=3)
rules = st.one_of(
    st.just({"constraint_type": "wildcard"}),
    st.builds(lambda value: {"constraint_type": "exact", "value": value}, numbers),
    st.builds(lambda values: {"constraint_type": "one_of", "values": values}, st.lists(numbers, max_size=3)),
    st.builds(lambda low, high: {"constraint_type": "range", "min": low, "max": high}, numbers, numbers),
    st.builds(lambda high: {"constraint_type": "range", "max": high}, numbers),
)
arguments = st.dictionaries(st.sampled_from("xy"), rules, max_size=2)
limits = st.none() | st.builds(lambda calls, window: {"maxCalls": calls, "windowSeconds": window + 1}, numbers, numbers)


@st.composite
def capabilities(draw: st.DrawFn) -> Capability:
    """Draw what one credential entry, or one detail, may say of three tools."""
    bounds = draw(limits)
    tools = draw(st.dictionaries(st.sampled_from("abc"), arguments, min_size=1, max_size=3))
    members: dict[str, Any] = {"resource": [PLACE], "tools": tools}
    return parse_bare_capability(members if bounds is None else {**members, "limits": bounds})


several = st.lists(capabilities(), min_size=1, max_size=3)


@pytest.mark.req("DEL-05")
@settings(max_examples=400, deadline=None)
@given(several, several)
def test_every_part_is_within_both_sides(held: list[Capability], wanted: list[Capability]) -> None:
    parts = meet(held, wanted)
    event(f"parts: {len(parts)}")
    for part in parts:
        assert len(part.tools) == 1
        assert any(covered_by(part, whole) for whole in held)
        # A detail without limits leaves those that are held, which is less than it asked for.
        assert any(covered_by(part, whole) for whole in wanted)
    for one in parts:  # none says what another says too: they may differ in where they are counted alone
        covering = [other for other in parts if other is not one and covered_by(one, other)]
        assert all(not set(other.accounts) <= set(one.accounts) for other in covering)


@settings(max_examples=200, deadline=None)
@given(several)
def test_whoever_asks_for_what_they_hold_gets_no_less(held: list[Capability]) -> None:
    parts = meet(held, held)
    for whole in held:
        for tool, named in whole.tools.items():
            if covered_by(whole, whole):
                single = Capability(resources=whole.resources, tools={tool: named}, limits=whole.limits)
                assert any(covered_by(single, part) for part in parts)


@settings(max_examples=200, deadline=None)
@given(several)
def test_conditions_are_always_told(wanted: list[Capability]) -> None:
    entries = [{"type": DETAIL_TYPE, "locations": [PLACE], **_members(one)} for one in wanted]
    told = in_words(parse(json.dumps(entries)))
    expected = [tool for one in wanted for tool, named in one.tools.items() if named or one.limits]
    assert [tool for tool, _ in told] == expected
    assert all(words.isascii() and words.isprintable() for _, words in told)


def _members(one: Capability) -> dict[str, Any]:
    tools = {tool: {name: rule.to_json() for name, rule in named.items()} for tool, named in one.tools.items()}
    return {"tools": tools} if one.limits is None else {"tools": tools, "limits": one.limits.to_json()}
