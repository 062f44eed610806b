"""Constraints on tool arguments: the AAT algebra (draft-niyikiza-oauth-attenuating-agent-tokens-01, 3.4 and 4.5).

`is_satisfied` judges a value, `subsumes` compares two constraints.  The law that ties them, tested as a property:
if the parent subsumes the child and the child admits a value, the parent admits it too.  There are no regular
expressions: containment of those cannot be decided in practice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from did_agent.credential import closed
from did_agent.credential import location as place
from did_agent.encoding import jcs
from did_agent.errors import BadConstraint, BadEncoding

MAX_VALUES: Final = 256  # values listed in one constraint
MAX_CLAUSES: Final = 16  # clauses of one `all` or `any`; bounds the matching
MAX_NESTING: Final = 8  # levels of `all` and `any`
MAX_NODES: Final = 64  # constraints inside one argument; comparing two is at most the product
MAX_TEXT: Final = 4096  # characters of a value inside a constraint
MAX_SAFE_INTEGER: Final = 2**53 - 1  # beyond it JSON numbers are not exact (RFC 8785, 3.2.2.3)

Key = tuple[str, object]  # a JSON value tagged with its type, because in Python True == 1
Bound = tuple[float, int]  # a number, and 0 when it belongs to the range or ±1 when it lies just outside

_UNREADABLE: Final[Key] = ("unreadable", None)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One parsed constraint; equal when kind and meaning are equal under typed JSON equality."""

    kind: str
    source: Mapping[str, object] = field(repr=False, compare=False)  # as it was read; never changed
    keys: frozenset[Key] = frozenset()  # exact, one_of, not_one_of, contains, subset
    clauses: tuple[Constraint, ...] = ()  # all, any
    low: Bound = (-math.inf, 0)  # range
    high: Bound = (math.inf, 0)
    text: tuple[str, ...] = ()  # prefix: (prefix,); path: (root,); url: (scheme, host[, path prefix])
    length: int = 0  # max_length

    def to_json(self) -> dict[str, object]:
        """Return the constraint as it was read."""
        return dict(self.source)


def parse_constraint(value: object) -> Constraint:
    """Return the constraint that `value` describes; unknown types and members are refused.

    Raises: BadConstraint.
    """
    constraint, _ = _parse(value, MAX_NESTING, MAX_NODES)
    return constraint


def is_satisfied(constraint: Constraint, value: object) -> bool:
    """Tell whether the JSON `value` is within `constraint`."""
    return _KINDS[constraint.kind].admits(constraint, value)


def subsumes(parent: Constraint, child: Constraint) -> bool:
    """Tell whether `child` is at least as strict as `parent`; what the table does not name is not."""
    if parent.kind == "wildcard":
        return True
    if child.kind == parent.kind:
        return _KINDS[parent.kind].covers(parent, child)
    return child.kind == "exact" and parent.kind in _COVERS_EXACT and is_satisfied(parent, child.source["value"])


# ---- reading


def _parse(value: object, nesting: int, nodes: int) -> tuple[Constraint, int]:
    """Return the constraint and how many nodes may still follow."""
    name = value.get("constraint_type") if isinstance(value, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadConstraint(f"constraint type {str(name)[:40]!r} is not known")
    if nodes < 1:
        raise BadConstraint(f"more than {MAX_NODES} constraints in one argument")
    required = kind.required | {"constraint_type"}
    constraint = closed.members(
        value, f"constraint {name}", required=required, optional=kind.optional, error=BadConstraint
    )
    if kind.read is None:
        return _parse_clauses(constraint, nesting, nodes - 1)
    return kind.read(constraint), nodes - 1


def _parse_clauses(value: Mapping[str, object], nesting: int, nodes: int) -> tuple[Constraint, int]:
    if nesting < 1:
        raise BadConstraint(f"constraints are nested more than {MAX_NESTING} levels")
    clauses = []
    for item in closed.array(value["constraints"], "constraints", most=MAX_CLAUSES, error=BadConstraint):
        clause, nodes = _parse(item, nesting - 1, nodes)
        clauses.append(clause)
    return Constraint(kind=str(value["constraint_type"]), source=value, clauses=tuple(clauses)), nodes


def _read_exact(value: Mapping[str, object]) -> Constraint:
    if isinstance(value["value"], (list, dict)):
        raise BadConstraint("exact compares scalars only")
    return Constraint(kind="exact", source=value, keys=frozenset({_listed_key(value["value"])}))


def _read_list(value: Mapping[str, object]) -> Constraint:
    ((member, listed),) = ((name, item) for name, item in value.items() if name != "constraint_type")
    items = closed.array(listed, member, most=MAX_VALUES, error=BadConstraint)
    return Constraint(kind=str(value["constraint_type"]), source=value, keys=frozenset(map(_listed_key, items)))


def _read_range(value: Mapping[str, object]) -> Constraint:
    flags = value.get("min_inclusive", True), value.get("max_inclusive", True)
    bounds = _number(value.get("min", 0)), _number(value.get("max", 0))
    if bounds[0] is None or bounds[1] is None or not all(isinstance(flag, bool) for flag in flags):
        raise BadConstraint("a range bound is not a finite number, or its flag not a boolean")
    low: Bound = (bounds[0], 0 if flags[0] else 1) if "min" in value else (-math.inf, 0)
    high: Bound = (bounds[1], 0 if flags[1] else -1) if "max" in value else (math.inf, 0)
    return Constraint(kind="range", source=value, low=low, high=high)


def _read_wildcard(value: Mapping[str, object]) -> Constraint:
    return Constraint(kind="wildcard", source=value)


def _read_prefix(value: Mapping[str, object]) -> Constraint:
    if not isinstance(value["prefix"], str) or len(value["prefix"]) > MAX_TEXT:
        raise BadConstraint(f"prefix is not a string of at most {MAX_TEXT} characters")
    return Constraint(kind="prefix", source=value, text=(value["prefix"],))


def _read_path(value: Mapping[str, object]) -> Constraint:
    root = place.resolve_path(value["root"])
    if root is None:
        raise BadConstraint("path root is not a plain absolute path")
    return Constraint(kind="path", source=value, text=(root,))


def _read_url(value: Mapping[str, object]) -> Constraint:
    bound = (value["scheme"], value["host"], value.get("path_prefix", "/"))
    scheme, host, path = map(str, bound)
    # Reading the URL that the parts make must give the same parts: then they are in plain, lower-case form.
    if place.parse_location(f"{scheme}://{host}{path}") != bound or not place.is_plain_url_path(path):
        raise BadConstraint("url is not a plain lower-case scheme and host with an absolute path")
    return Constraint(kind="url", source=value, text=(scheme, host, path) if "path_prefix" in value else (scheme, host))


def _read_max_length(value: Mapping[str, object]) -> Constraint:
    length = closed.whole(value["value"], "max_length", least=0, most=MAX_SAFE_INTEGER, error=BadConstraint)
    return Constraint(kind="max_length", source=value, length=length)


# ---- judging a value, comparing two of one kind


def _is_in_range(constraint: Constraint, value: object) -> bool:
    number = _number(value)
    return number is not None and constraint.low <= (number, 0) <= constraint.high


def _is_below_root(constraint: Constraint, value: object) -> bool:
    path = place.resolve_path(value)
    return path is not None and place.is_below(path, constraint.text[0])


def _points_into(constraint: Constraint, value: object) -> bool:
    found = place.parse_location(value)
    if found is None or found[:2] != constraint.text[:2]:
        return False
    return len(constraint.text) == 2 or (
        place.is_plain_url_path(found.path) and place.is_below(found.path, constraint.text[2])
    )


def _place_is_below(parent: Constraint, child: Constraint) -> bool:
    if child.text[:2] != parent.text[:2] or len(child.text) < len(parent.text):
        return False
    return len(parent.text) == 2 or place.is_below(child.text[2], parent.text[2])


def _each_clause_is_kept(parent: Constraint, child: Constraint) -> bool:
    """Match every parent clause to a child clause of its own (augmenting paths; both sides have at most 16)."""
    candidates = [[i for i, c in enumerate(child.clauses) if subsumes(p, c)] for p in parent.clauses]
    taken: dict[int, int] = {}  # child clause -> parent clause

    def find_room(clause: int, seen: set[int]) -> bool:
        for candidate in candidates[clause]:
            if candidate in seen:
                continue
            seen.add(candidate)
            if candidate not in taken or find_room(taken[candidate], seen):
                taken[candidate] = clause
                return True
        return False

    return all(find_room(clause, set()) for clause in range(len(parent.clauses)))


def _each_choice_was_there(parent: Constraint, child: Constraint) -> bool:
    return bool(child.clauses) and all(any(subsumes(p, c) for p in parent.clauses) for c in child.clauses)


# ---- values


def _key(value: object) -> Key:
    """Return what typed JSON equality compares: 1 equals 1.0, but `true` equals neither."""
    if value is None or isinstance(value, (bool, str)):
        return (type(value).__name__, value)
    number = _number(value)
    if number is not None:
        return ("number", number)
    if not isinstance(value, (list, dict)):
        return _UNREADABLE
    try:
        return ("json", jcs.canonicalize(value))
    except BadEncoding:
        return _UNREADABLE


def _listed_key(value: object) -> Key:
    key = _key(value)
    if key == _UNREADABLE or (isinstance(value, str) and len(value) > MAX_TEXT):
        raise BadConstraint("a listed value is too long or not exact JSON")
    return key


def _number(value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    is_exact = abs(value) <= MAX_SAFE_INTEGER if isinstance(value, int) else math.isfinite(value)
    return value if is_exact else None


# ---- the table


class _Kind(NamedTuple):
    required: frozenset[str]
    read: Callable[[Mapping[str, object]], Constraint] | None  # None: has clauses, read by `_parse_clauses`
    admits: Callable[[Constraint, object], bool]
    covers: Callable[[Constraint, Constraint], bool]  # parent, child: both of this kind
    optional: frozenset[str] = frozenset()


def _lists_no_more(parent: Constraint, child: Constraint) -> bool:
    return child.keys <= parent.keys


def _lists_no_less(parent: Constraint, child: Constraint) -> bool:
    return child.keys >= parent.keys


def _names(*members: str) -> frozenset[str]:
    return frozenset(members)


_COVERS_EXACT: Final = _names("range", "one_of", "prefix", "path", "url")
_KINDS: Final[Mapping[str, _Kind]] = {
    "exact": _Kind(_names("value"), _read_exact, lambda c, v: _key(v) in c.keys, _lists_no_more),
    "one_of": _Kind(_names("values"), _read_list, lambda c, v: _key(v) in c.keys, _lists_no_more),
    "not_one_of": _Kind(
        _names("excluded"), _read_list, lambda c, v: _key(v) not in c.keys | {_UNREADABLE}, _lists_no_less
    ),
    "range": _Kind(
        _names(),
        _read_range,
        _is_in_range,
        lambda parent, child: parent.low <= child.low and child.high <= parent.high,
        optional=_names("min", "max", "min_inclusive", "max_inclusive"),
    ),
    "contains": _Kind(
        _names("required"),
        _read_list,
        lambda c, v: isinstance(v, list) and c.keys <= set(map(_key, v)),
        _lists_no_less,
    ),
    "subset": _Kind(
        _names("allowed"), _read_list, lambda c, v: isinstance(v, list) and set(map(_key, v)) <= c.keys, _lists_no_more
    ),
    "wildcard": _Kind(_names(), _read_wildcard, lambda _c, _v: True, lambda _parent, _child: True),
    "all": _Kind(
        _names("constraints"), None, lambda c, v: all(is_satisfied(part, v) for part in c.clauses), _each_clause_is_kept
    ),
    "any": _Kind(
        _names("constraints"),
        None,
        lambda c, v: any(is_satisfied(part, v) for part in c.clauses),
        _each_choice_was_there,
    ),
    "prefix": _Kind(
        _names("prefix"),
        _read_prefix,
        lambda c, v: isinstance(v, str) and v.startswith(c.text[0]),
        lambda parent, child: child.text[0].startswith(parent.text[0]),
    ),
    "path": _Kind(
        _names("root"),
        _read_path,
        _is_below_root,
        lambda parent, child: place.is_below(child.text[0], parent.text[0]),
    ),
    "url": _Kind(_names("scheme", "host"), _read_url, _points_into, _place_is_below, optional=_names("path_prefix")),
    "max_length": _Kind(
        _names("value"),
        _read_max_length,
        lambda c, v: isinstance(v, str) and len(v) <= c.length,
        lambda parent, child: child.length <= parent.length,
    ),
}
