"""Laws of the constraint algebra: what a child admits, its parent admits; whatever is uncertain is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from did_agent.credential.capability import (
    Capability,
    covered_by,
    parse_authorization_detail,
    parse_bare_capability,
    parse_capability,
    parse_granted_detail,
    to_authorization_detail,
    to_granted_detail,
)
from did_agent.credential.constraint import is_satisfied, parse_constraint, subsumes
from did_agent.credential.limits import Account, Limits, parse_limits

JSON = dict[str, Any]

WORDS = ["", "a", "ab", "abc", "/", "/d", "/d/x", "/dd", "/d/../e", "//d", "é", "true"]
URLS = ["https://h.example/a/b", "https://h.example/ab", "https://h.example:8443/a", "http://h.example/a"]
SCALARS: list[Any] = [None, True, False, 0, 1, 1.0, -1, 2, 2.5, *WORDS, *URLS]
VALUES: list[Any] = [*SCALARS, [], [1], [True], [1, 2], ["a", "b"], [[1]], {}, {"a": 1}, {"a": True}]

scalars = st.sampled_from(SCALARS)
values = st.one_of(st.sampled_from(VALUES), st.lists(scalars, max_size=3))
numbers = st.sampled_from([-1, 0, 1, 1.5, 2, 2.5])


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries({}, optional=members)


def of(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries({"constraint_type": st.just(kind), **members})


lists = st.lists(values, max_size=4)
ranges = optional(min=numbers, max=numbers, min_inclusive=st.booleans(), max_inclusive=st.booleans()).map(
    lambda bounds: {"constraint_type": "range", **bounds}
)
simple = st.one_of(
    of("exact", value=scalars),
    of("one_of", values=lists),
    of("not_one_of", excluded=lists),
    of("contains", required=lists),
    of("subset", allowed=lists),
    of("wildcard"),
    ranges,
    of("prefix", prefix=st.sampled_from(["", "a", "ab", "https://h", "/d"])),
    of("path", root=st.sampled_from(["/", "/d", "/d/x", "/d/", "/d/./x"])),
    st.builds(
        lambda scheme, host, rest: {"constraint_type": "url", "scheme": scheme, "host": host, **rest},
        st.sampled_from(["https", "http"]),
        st.sampled_from(["h.example", "h.example:8443"]),
        optional(path_prefix=st.sampled_from(["/", "/a", "/a/b"])),
    ),
    of("max_length", value=st.integers(min_value=0, max_value=30)),
)
constraints = st.recursive(
    simple,
    lambda inner: st.one_of(
        of("all", constraints=st.lists(inner, max_size=3)), of("any", constraints=st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)


@st.composite
def relatives(draw: st.DrawFn) -> tuple[JSON, JSON]:
    """Draw a parent and a child that is the same, a part of it, or a stranger of the same kind."""
    parent = draw(constraints)
    child = dict(draw(st.one_of(st.just(parent), constraints)))
    for name in ("values", "excluded", "required", "allowed", "constraints"):
        if name in child and draw(st.booleans()):
            child[name] = draw(st.permutations(child[name]))[: draw(st.integers(0, 4))] if child[name] else []
    if child["constraint_type"] == "range" and draw(st.booleans()):
        child[draw(st.sampled_from(["min", "max"]))] = draw(numbers)
    return parent, child


@settings(max_examples=1500, deadline=None)
@given(relatives(), st.lists(values, min_size=1, max_size=8))
def test_what_a_subsumed_child_admits_its_parent_admits(pair: tuple[JSON, JSON], samples: list[Any]) -> None:
    parent, child = map(parse_constraint, pair)
    accepted = subsumes(parent, child)
    event(f"subsumed: {accepted}")
    if accepted:
        for sample in [*samples, *VALUES]:
            assert is_satisfied(parent, sample) or not is_satisfied(child, sample), sample


def test_the_law_holds_for_every_pair_of_a_pool() -> None:
    pool = [parse_constraint(source) for source in _pool()]
    accepted = [(p, c) for p, c in product(pool, repeat=2) if subsumes(p, c)]
    assert len(pool) * 2 < len(accepted) < len(pool) ** 2 / 2  # the law is not proved on nothing
    unsound = [(p, c, v) for p, c in accepted for v in VALUES if is_satisfied(c, v) and not is_satisfied(p, v)]
    assert unsound == []


def test_narrower_than_is_a_partial_order() -> None:
    """Reflexive, transitive, and antisymmetric in meaning: two that subsume each other admit the same values."""
    pool = [parse_constraint(source) for source in _pool()]
    below = [{c for c, child in enumerate(pool) if subsumes(parent, child)} for parent in pool]
    empty = {
        number for number, one in enumerate(pool) if one.to_json() == {"constraint_type": "any", "constraints": []}
    }
    assert {number for number in range(len(pool)) if number not in below[number]} == empty  # it hands nothing on
    for parent, children in enumerate(below):
        for child in children:
            assert below[child] <= below[parent], (pool[parent], pool[child])
            if parent in below[child]:
                admitted = [[is_satisfied(pool[one], value) for value in VALUES] for one in (parent, child)]
                assert admitted[0] == admitted[1], (pool[parent], pool[child])


def _pool() -> list[JSON]:
    bounds = [
        {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None} | flags
        for low, high in product([None, 0, 1], [None, 1, 2.5])
        for flags in ({}, {"min_inclusive": False}, {"max_inclusive": False})
    ]
    groups: list[list[Any]] = [[], [1], [True], [1, 2], ["a"], ["a", "ab"], [1, "a", None], [[1]], ["/d", "/d/x"]]
    simple_ones: list[JSON] = [
        {"constraint_type": "wildcard"},
        *({"constraint_type": "range", **b} for b in bounds),
        *({"constraint_type": "exact", "value": v} for v in SCALARS),
        *({"constraint_type": "one_of", "values": g} for g in groups),
        *({"constraint_type": "not_one_of", "excluded": g} for g in groups),
        *({"constraint_type": "contains", "required": g} for g in groups),
        *({"constraint_type": "subset", "allowed": g} for g in groups),
        *({"constraint_type": "prefix", "prefix": p} for p in ("", "a", "ab", "/d")),
        *({"constraint_type": "path", "root": r} for r in ("/", "/d", "/d/x", "/dd")),
        *({"constraint_type": "max_length", "value": n} for n in (0, 1, 2)),
        *({"constraint_type": "url", "scheme": "https", "host": "h.example", "path_prefix": p} for p in ("/", "/a")),
        {"constraint_type": "url", "scheme": "https", "host": "h.example"},
    ]
    pairs = [list(pair) for pair in product(simple_ones[3:40:6], repeat=2)]
    return [
        *simple_ones,
        *({"constraint_type": kind, "constraints": pair} for kind in ("all", "any") for pair in pairs),
        {"constraint_type": "all", "constraints": []},
        {"constraint_type": "any", "constraints": []},
    ]


@settings(max_examples=400, deadline=None)
@given(constraints)
def test_a_constraint_subsumes_itself_and_survives_writing(source: JSON) -> None:
    constraint = parse_constraint(source)
    assert parse_constraint(constraint.to_json()) == constraint
    if "any" not in repr(source):  # an empty `any` admits nothing and hands on nothing
        assert subsumes(constraint, constraint)


@settings(max_examples=400, deadline=None)
@given(relatives(), constraints)
def test_handing_on_twice_is_never_more_than_handing_on_once(pair: tuple[JSON, JSON], last: JSON) -> None:
    first, second = map(parse_constraint, pair)
    third = parse_constraint(last)
    if subsumes(first, second) and subsumes(second, third):
        assert subsumes(first, third)


tool_maps = st.dictionaries(
    st.sampled_from(["read", "write"]), st.dictionaries(st.sampled_from(["p", "q"]), simple, max_size=2), max_size=2
)
grants = st.builds(
    lambda resources, tools: parse_bare_capability({"resource": sorted(resources), "tools": tools}),
    st.sets(st.sampled_from(["https://a.example/mcp", "https://b.example/mcp"]), min_size=1),
    tool_maps,
)
arguments = st.dictionaries(st.sampled_from(["p", "q"]), values, max_size=2)


@settings(max_examples=800, deadline=None)
@given(grants, grants, st.sampled_from(["read", "write", "other"]), arguments)
def test_a_covered_capability_admits_no_call_that_its_parent_refuses(
    parent: Capability, child: Capability, tool: str, call: JSON
) -> None:
    if covered_by(child, parent):
        assert set(child.resources) <= set(parent.resources)
        assert parent.covers(tool, call) or not child.covers(tool, call)


@settings(max_examples=200, deadline=None)
@given(grants)
def test_a_capability_survives_the_way_through_a_token(capability: Capability) -> None:
    assert covered_by(capability, capability)
    assert parse_capability(capability.to_json()) == capability
    for resource in capability.resources:
        detail = to_authorization_detail(capability, resource)
        assert parse_authorization_detail(detail) == capability.narrowed_to(resource)


few = st.integers(min_value=0, max_value=4)
ceilings = st.one_of(
    st.builds(lambda n: {"maxCalls": n}, few),
    st.builds(lambda n, seconds: {"maxCalls": n, "windowSeconds": seconds + 1}, few, few),
    st.builds(lambda n: {"maxRate": n + 1}, few),
    st.just({"singleUse": True}),
    st.builds(lambda n, unit: {"maxAmount": f"{n}.5", "currency": unit}, few, st.sampled_from(["EUR", "USD"])),
    st.builds(lambda n: {"maxTokens": n}, few),
)
limit_sets = st.lists(ceilings, min_size=1, max_size=4).map(
    lambda parts: parse_limits({name: value for part in parts for name, value in part.items()})
)


@settings(max_examples=400, deadline=None)
@given(limit_sets, limit_sets, limit_sets)
def test_limits_are_ordered(first: Limits, second: Limits, third: Limits) -> None:
    assert first.within(first)
    assert parse_limits(first.to_json()) == first
    if third.within(second) and second.within(first):
        assert third.within(first)


@settings(max_examples=400, deadline=None)
@given(limit_sets, limit_sets)
def test_what_is_not_said_is_inherited_and_nothing_is_raised(parent: Limits, child: Limits) -> None:
    both = child.inheriting(parent)
    assert both.within(child)
    assert both.inheriting(parent) == both
    if child.within(parent):
        assert both.within(parent)
    for name in ("max_rate", "max_tokens", "max_amount", "max_calls"):
        ceiling, mine = getattr(parent, name), getattr(both, name)
        event(f"{name} inherited: {getattr(child, name) is None and ceiling is not None}")
        assert ceiling is None or mine is not None


@settings(max_examples=200, deadline=None)
@given(grants, limit_sets, st.lists(st.builds(Account, id=st.text("ab#0", min_size=1), limits=limit_sets), min_size=1))
def test_accounts_survive_the_way_through_a_token_and_no_other(
    grant: Capability, limits: Limits, accounts: list[Account]
) -> None:
    held = replace(grant, limits=limits, accounts=tuple(accounts[:16]))
    for resource in held.resources:
        assert parse_granted_detail(to_granted_detail(held, resource)) == held.narrowed_to(resource)
        plain = parse_authorization_detail(to_authorization_detail(held, resource))
        assert plain.accounts == ()
    assert parse_capability(held.to_json()) == replace(held, accounts=())
