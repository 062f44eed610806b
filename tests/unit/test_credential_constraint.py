"""Constraints one by one: what each admits, what each covers, and what is not a constraint at all."""

from __future__ import annotations

import math
from typing import Any

import pytest

from did_agent.credential.constraint import (
    MAX_CLAUSES,
    MAX_NESTING,
    MAX_VALUES,
    is_satisfied,
    parse_constraint,
    subsumes,
)
from did_agent.errors import BadConstraint


def make(kind: str, **members: Any) -> Any:
    return parse_constraint({"constraint_type": kind, **members})


ADMITS = [
    ("exact", {"value": 1}, [1, 1.0], [True, "1", 2, None, [1]]),
    ("exact", {"value": True}, [True], [1, 1.0, "true"]),
    ("exact", {"value": None}, [None], [False, 0, ""]),
    ("exact", {"value": 0}, [0, 0.0, -0.0], [False, None]),
    ("one_of", {"values": ["a", 1, [1]]}, ["a", 1, [1]], ["b", True, [True], 2]),
    ("not_one_of", {"excluded": [1]}, [True, 2, "1", []], [1, 1.0, math.nan, 2**53, object()]),
    ("range", {"min": 1, "max": 5}, [1, 5, 2.5], [0, 6, True, "2", None, math.nan, math.inf]),
    ("range", {"min": 1, "min_inclusive": False}, [2, 1.001, 2**53 - 1], [1, 0, 2**53, math.inf]),
    ("range", {"max": 5, "max_inclusive": False}, [4.9, -5], [5, 6]),
    ("range", {}, [0], [True, "x", math.nan]),
    ("contains", {"required": ["a", 1]}, [["a", 1], [1, 2, "a"]], [["a"], ["a", True], "a1", {"a": 1}]),
    ("subset", {"allowed": ["a", 1]}, [[], ["a"], [1, 1, "a"]], [["b"], [True], "a", {}]),
    ("wildcard", {}, [None, 1, "x", [], {}], []),
    ("all", {"constraints": []}, [None], []),
    ("any", {"constraints": []}, [], [None, 1]),
    ("prefix", {"prefix": "ab"}, ["ab", "abc"], ["a", "AB", 1, ["ab"]]),
    ("max_length", {"value": 2}, ["", "ab", "é€"], ["abc", 1, ["a"]]),
    (
        "path",
        {"root": "/data"},
        ["/data", "/data/", "/data/x", "//data//x", "/data/./x", "/data/x/../y", "/x/../data", "/../data"],
        ["data/x", "/database", "/data/..", "/data/../etc", "/data\\..\\etc", "/data/%2e%2e/etc", "/data/\0", "", 1]
        + ["/data/cafe\u0301"],
    ),
    ("path", {"root": "/"}, ["/", "/etc"], ["etc"]),
    (
        "url",
        {"scheme": "https", "host": "h.example", "path_prefix": "/a"},
        ["https://h.example/a", "https://h.example/a/b?q=%2e%2e", "https://h.example/a#f"],
        [
            "https://h.example/ab",
            "https://h.example",
            "http://h.example/a",
            "https://h.example:444/a",
            "https://u@h.example/a",
            "https://h.example@evil.example/a",
            "https://h.example\\@evil.example/a",
            "https://h.example.evil.example/a",
            "HTTPS://H.EXAMPLE/a",
            "https://h.example/a/../b",
            "https://h.example/a/%2e%2e/b",
            "https://h.example/a/..;/b",
            "https://h.example/a\n",
            "//h.example/a",
            " https://h.example/a",
            1,
        ],
    ),
    ("url", {"scheme": "https", "host": "h.example:8443"}, ["https://h.example:8443/%20"], ["https://h.example/"]),
]


@pytest.mark.parametrize(("kind", "members", "inside", "outside"), ADMITS)
def test_a_constraint_admits_exactly_its_values(
    kind: str, members: dict[str, Any], inside: list[Any], outside: list[Any]
) -> None:
    constraint = make(kind, **members)
    assert [value for value in inside if not is_satisfied(constraint, value)] == []
    assert [value for value in outside if is_satisfied(constraint, value)] == []


def either(*clauses: Any) -> Any:
    return make("any", constraints=[clause.to_json() for clause in clauses])


def every(*clauses: Any) -> Any:
    return make("all", constraints=[clause.to_json() for clause in clauses])


SMALL, BIG = make("range", min=1, max=2), make("range", min=0, max=9)
COVERS = [
    (make("wildcard"), make("exact", value=1), True),
    (make("wildcard"), make("wildcard"), True),
    (make("range"), make("wildcard"), False),
    (make("exact", value=1), make("exact", value=1.0), True),
    (make("exact", value=1), make("exact", value=True), False),
    (make("one_of", values=["a", "b"]), make("exact", value="a"), True),
    (make("one_of", values=["a"]), make("one_of", values=["a", "b"]), False),
    (make("exact", value="a"), make("one_of", values=["a"]), False),  # true in meaning, but not in the table
    (make("not_one_of", excluded=["a"]), make("not_one_of", excluded=["a", "b"]), True),
    (make("not_one_of", excluded=["a", "b"]), make("not_one_of", excluded=["a"]), False),
    (make("not_one_of", excluded=["a"]), make("exact", value="b"), False),
    (make("contains", required=["a"]), make("contains", required=["a", "b"]), True),
    (make("contains", required=["a", "b"]), make("contains", required=["a"]), False),
    (make("subset", allowed=["a", "b"]), make("subset", allowed=["a"]), True),
    (make("subset", allowed=["a"]), make("subset", allowed=["a", "b"]), False),
    (BIG, SMALL, True),
    (SMALL, BIG, False),
    (BIG, make("range", min=1), False),
    (make("range", min=1), make("range", min=1, min_inclusive=False), True),
    (make("range", min=1, min_inclusive=False), make("range", min=1), False),
    (BIG, make("exact", value=9), True),
    (BIG, make("exact", value=True), False),
    (make("prefix", prefix="a"), make("prefix", prefix="ab"), True),
    (make("prefix", prefix="ab"), make("prefix", prefix="a"), False),
    (make("path", root="/d"), make("path", root="/d/x"), True),
    (make("path", root="/d"), make("path", root="/dx"), False),
    (make("path", root="/d"), make("prefix", prefix="/d/"), False),
    (
        make("url", scheme="https", host="h.example"),
        make("url", scheme="https", host="h.example", path_prefix="/"),
        True,
    ),
    (
        make("url", scheme="https", host="h.example", path_prefix="/"),
        make("url", scheme="https", host="h.example"),
        False,
    ),
    (make("url", scheme="https", host="h.example"), make("url", scheme="http", host="h.example"), False),
    (make("max_length", value=5), make("max_length", value=4), True),
    (make("max_length", value=4), make("max_length", value=5), False),
    (make("max_length", value=9), make("exact", value="a"), False),
    (every(BIG), every(SMALL, make("wildcard")), True),
    (every(BIG, make("wildcard")), every(SMALL), False),  # each parent clause needs a clause of its own
    (every(make("wildcard"), SMALL), every(SMALL, BIG), True),  # a greedy search would take SMALL first
    (every(BIG), SMALL, False),
    (either(BIG, make("exact", value="x")), either(SMALL), True),
    (either(SMALL), either(SMALL, BIG), False),
    (either(SMALL), either(), False),
]


@pytest.mark.parametrize(("parent", "child", "expected"), COVERS)
def test_a_parent_covers_what_the_table_says_and_nothing_else(parent: Any, child: Any, expected: bool) -> None:
    assert subsumes(parent, child) is expected


def nested(levels: int) -> dict[str, Any]:
    constraint: dict[str, Any] = {"constraint_type": "wildcard"}
    for _ in range(levels):
        constraint = {"constraint_type": "all", "constraints": [constraint]}
    return constraint


MALFORMED: list[Any] = [
    None,
    "wildcard",
    [],
    {},
    {"constraint_type": "regex", "pattern": "x"},
    {"constraint_type": ["wildcard"]},
    {"constraint_type": "wildcard", "value": 1},
    {"constraint_type": "exact"},
    {"constraint_type": "exact", "value": [1]},
    {"constraint_type": "exact", "value": {}},
    {"constraint_type": "one_of", "values": "ab"},
    {"constraint_type": "one_of", "values": [2**53]},
    {"constraint_type": "one_of", "values": [math.nan]},
    {"constraint_type": "one_of", "values": list(range(MAX_VALUES + 1))},
    {"constraint_type": "one_of", "values": ["x" * 5000]},
    {"constraint_type": "range", "min": "1"},
    {"constraint_type": "range", "min": True},
    {"constraint_type": "range", "max": None},
    {"constraint_type": "range", "min": 1, "min_inclusive": 1},
    {"constraint_type": "range", "minimum": 1},
    {"constraint_type": "prefix", "prefix": 1},
    {"constraint_type": "path", "root": "data"},
    {"constraint_type": "path", "root": "/a%2fb"},
    {"constraint_type": "url", "scheme": "https", "host": "H.example"},
    {"constraint_type": "url", "scheme": "https", "host": "u@h.example"},
    {"constraint_type": "url", "scheme": "https", "host": "h.example", "path_prefix": "a"},
    {"constraint_type": "url", "scheme": "https", "host": "h.example", "path_prefix": "/a/../b"},
    {"constraint_type": "url", "scheme": "https", "host": "h.example", "path_prefix": "/a?b"},
    {"constraint_type": "max_length", "value": True},
    {"constraint_type": "max_length", "value": -1},
    {"constraint_type": "all", "constraints": {}},
    {"constraint_type": "any", "constraints": [{"constraint_type": "regex"}]},
    {"constraint_type": "any", "constraints": [{"constraint_type": "wildcard"}] * (MAX_CLAUSES + 1)},
    nested(MAX_NESTING + 1),
    {"constraint_type": "all", "constraints": [nested(7)] * 10},
]


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize("source", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_unknown_or_unbounded_is_not_a_constraint(source: Any) -> None:
    with pytest.raises(BadConstraint):
        parse_constraint(source)


def test_the_limits_themselves_are_allowed() -> None:
    parse_constraint(nested(MAX_NESTING))
    parse_constraint({"constraint_type": "one_of", "values": list(range(MAX_VALUES))})
    parse_constraint({"constraint_type": "any", "constraints": [{"constraint_type": "wildcard"}] * MAX_CLAUSES})


def test_comparing_the_largest_constraints_stays_small() -> None:
    clause = {"constraint_type": "range", "min": 0}
    group = {"constraint_type": "all", "constraints": [clause] * 15}
    whole = parse_constraint({"constraint_type": "all", "constraints": [group] * 3})
    assert subsumes(whole, whole)
