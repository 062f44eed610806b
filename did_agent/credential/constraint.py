"""Constraints on tool arguments: the AAT algebra (draft-niyikiza-oauth-attenuating-agent-tokens-01, 3.4 and 4.5).

`is_satisfied` judges a value, `subsumes` compares two constraints.  The law that ties them, tested as a property:
if the parent subsumes the child and the child admits a value, the parent admits it too.  There are no regular
expressions: containment of those cannot be decided in practice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from did_agent.credential import closed
from did_agent.credential.location import (
    is_authority,
    is_below,
    is_plain_url_path,
    is_scheme,
    parse_location,
    resolve_path,
)
from did_agent.encoding import jcs
from did_agent.errors import BadConstraint, BadEncoding

MAX_VALUES: Final = 256  # values listed in one constraint
MAX_CLAUSES: Final = 16  # clauses of one `all` or `any`; bounds the matching
MAX_NESTING: Final = 8  # levels of `all` and `any`
MAX_NODES: Final = 64  # constraints inside one argument; comparing two is at most the product
MAX_TEXT: Final = 4096  # characters of a value inside a constraint
MAX_SAFE_INTEGER: Final = 2**53 - 1  # beyond it JSON numbers are not exact (RFC 8785, 3.2.2.3)

Key = tuple[str, object]  # a JSON value tagged with its type, because in Python True == 1

_UNREADABLE: Final[Key] = ("unreadable", None)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One parsed constraint; equal when kind and meaning are equal under typed JSON equality."""

    kind: str
    source: Mapping[str, object] = field(repr=False, compare=False)  # as it was read; never changed
    keys: frozenset[Key] = frozenset()  # exact, one_of, not_one_of, contains, subset
    clauses: tuple[Constraint, ...] = ()  # all, any
    low: float | int | None = None  # range
    high: float | int | None = None
    low_inclusive: bool = True
    high_inclusive: bool = True
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
    if child.kind == "exact" and parent.kind in _COVERS_EXACT:
        return is_satisfied(parent, child.source["value"])
    return False


# ---- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    read: Callable[[Mapping[str, object]], Constraint] | None  # None: has clauses, read by `_parse_clauses`
    admits: Callable[[Constraint, object], bool]
    covers: Callable[[Constraint, Constraint], bool]  # both of this kind


def _parse(value: object, nesting: int, nodes: int) -> tuple[Constraint, int]:
    """Return the constraint and how many nodes may still follow."""
    if not isinstance(value, dict):
        raise BadConstraint("a constraint is not an object")
    name = value.get("constraint_type")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadConstraint(f"constraint type {str(name)[:40]!r} is not known")
    if nodes < 1:
        raise BadConstraint(f"more than {MAX_NODES} constraints in one argument")
    required = kind.required | {"constraint_type"}
    closed.members(value, f"constraint {name}", required=required, optional=kind.optional, error=BadConstraint)
    if kind.read is None:
        return _parse_clauses(value, nesting, nodes - 1)
    return kind.read(value), nodes - 1


def _parse_clauses(value: Mapping[str, object], nesting: int, nodes: int) -> tuple[Constraint, int]:
    if nesting < 1:
        raise BadConstraint(f"constraints are nested more than {MAX_NESTING} levels")
    clauses = []
    for item in closed.array(value["constraints"], "constraints", most=MAX_CLAUSES, error=BadConstraint):
        clause, nodes = _parse(item, nesting - 1, nodes)
        clauses.append(clause)
    return Constraint(kind=str(value["constraint_type"]), clauses=tuple(clauses), source=value), nodes


def _read_exact(value: Mapping[str, object]) -> Constraint:
    if isinstance(value["value"], (list, dict)):
        raise BadConstraint("exact compares scalars only")
    return Constraint(kind="exact", keys=frozenset({_listed_key(value["value"])}), source=value)


def _read_list(member: str) -> Callable[[Mapping[str, object]], Constraint]:
    def read(value: Mapping[str, object]) -> Constraint:
        listed = closed.array(value[member], member, most=MAX_VALUES, error=BadConstraint)
        keys = frozenset(_listed_key(item) for item in listed)
        return Constraint(kind=str(value["constraint_type"]), keys=keys, source=value)

    return read


def _read_range(value: Mapping[str, object]) -> Constraint:
    for bound in ("min", "max"):
        if bound in value and not _is_number(value[bound]):
            raise BadConstraint(f"range {bound} is not a finite number")
    for flag in ("min_inclusive", "max_inclusive"):
        if not isinstance(value.get(flag, True), bool):
            raise BadConstraint(f"range {flag} is not a boolean")
    return Constraint(
        kind="range",
        low=_number(value.get("min")),
        high=_number(value.get("max")),
        low_inclusive=value.get("min_inclusive", True) is True,
        high_inclusive=value.get("max_inclusive", True) is True,
        source=value,
    )


def _read_wildcard(value: Mapping[str, object]) -> Constraint:
    return Constraint(kind="wildcard", source=value)


def _read_prefix(value: Mapping[str, object]) -> Constraint:
    if not isinstance(value["prefix"], str) or len(value["prefix"]) > MAX_TEXT:
        raise BadConstraint(f"prefix is not a string of at most {MAX_TEXT} characters")
    return Constraint(kind="prefix", text=(value["prefix"],), source=value)


def _read_path(value: Mapping[str, object]) -> Constraint:
    root = resolve_path(value["root"])
    if root is None:
        raise BadConstraint("path root is not a plain absolute path")
    return Constraint(kind="path", text=(root,), source=value)


def _read_url(value: Mapping[str, object]) -> Constraint:
    scheme, host, path = value["scheme"], value["host"], value.get("path_prefix", "/")
    if not isinstance(scheme, str) or not isinstance(host, str) or not is_scheme(scheme) or not is_authority(host):
        raise BadConstraint("url scheme or host is not in plain lower-case form")
    if not isinstance(path, str) or parse_location(f"{scheme}://{host}{path}") != (scheme, host, path):
        raise BadConstraint("url path_prefix is not an absolute path")
    if not is_plain_url_path(path):
        raise BadConstraint("url path_prefix has encoded characters or dot segments")
    bound = (scheme, host, path) if "path_prefix" in value else (scheme, host)
    return Constraint(kind="url", text=bound, source=value)


def _read_max_length(value: Mapping[str, object]) -> Constraint:
    length = closed.whole(value["value"], "max_length", least=0, most=MAX_SAFE_INTEGER, error=BadConstraint)
    return Constraint(kind="max_length", length=length, source=value)


# ---- judging values


def _is_listed(constraint: Constraint, value: object) -> bool:
    return _key(value) in constraint.keys


def _is_not_listed(constraint: Constraint, value: object) -> bool:
    key = _key(value)
    return key != _UNREADABLE and key not in constraint.keys


def _is_in_range(constraint: Constraint, value: object) -> bool:
    number = _number(value)
    if number is None:
        return False
    if constraint.low is not None and (
        number < constraint.low or (number == constraint.low and not constraint.low_inclusive)
    ):
        return False
    return constraint.high is None or (
        number < constraint.high or (number == constraint.high and constraint.high_inclusive)
    )


def _contains_all(constraint: Constraint, value: object) -> bool:
    return isinstance(value, list) and constraint.keys <= {_key(item) for item in value}


def _is_subset(constraint: Constraint, value: object) -> bool:
    return isinstance(value, list) and all(_key(item) in constraint.keys for item in value)


def _starts_with(constraint: Constraint, value: object) -> bool:
    return isinstance(value, str) and value.startswith(constraint.text[0])


def _lies_below_root(constraint: Constraint, value: object) -> bool:
    path = resolve_path(value)
    return path is not None and is_below(path, constraint.text[0])


def _points_into(constraint: Constraint, value: object) -> bool:
    location = parse_location(value)
    if location is None or (location.scheme, location.host) != constraint.text[:2]:
        return False
    if len(constraint.text) == 2:
        return True
    return is_plain_url_path(location.path) and is_below(location.path, constraint.text[2])


def _is_short(constraint: Constraint, value: object) -> bool:
    return isinstance(value, str) and len(value) <= constraint.length


def _all_hold(constraint: Constraint, value: object) -> bool:
    return all(is_satisfied(clause, value) for clause in constraint.clauses)


def _one_holds(constraint: Constraint, value: object) -> bool:
    return any(is_satisfied(clause, value) for clause in constraint.clauses)


# ---- comparing two of one kind


def _lists_no_more(parent: Constraint, child: Constraint) -> bool:
    return child.keys <= parent.keys


def _lists_no_less(parent: Constraint, child: Constraint) -> bool:
    return child.keys >= parent.keys


def _bounds_are_tighter(parent: Constraint, child: Constraint) -> bool:
    if parent.low is not None:
        if child.low is None or child.low < parent.low:
            return False
        if child.low == parent.low and child.low_inclusive and not parent.low_inclusive:
            return False
    if parent.high is not None:
        if child.high is None or child.high > parent.high:
            return False
        if child.high == parent.high and child.high_inclusive and not parent.high_inclusive:
            return False
    return True


def _extends_prefix(parent: Constraint, child: Constraint) -> bool:
    return child.text[0].startswith(parent.text[0])


def _root_is_below(parent: Constraint, child: Constraint) -> bool:
    return is_below(child.text[0], parent.text[0])


def _place_is_below(parent: Constraint, child: Constraint) -> bool:
    if child.text[:2] != parent.text[:2] or len(child.text) < len(parent.text):
        return False
    return len(parent.text) == 2 or is_below(child.text[2], parent.text[2])


def _is_no_longer(parent: Constraint, child: Constraint) -> bool:
    return child.length <= parent.length


def _each_clause_is_kept(parent: Constraint, child: Constraint) -> bool:
    """Match every parent clause to a child clause of its own (augmenting paths; both sides have at most 16)."""
    candidates = [[i for i, c in enumerate(child.clauses) if subsumes(p, c)] for p in parent.clauses]
    taken: dict[int, int] = {}  # child clause -> parent clause

    def place(clause: int, seen: set[int]) -> bool:
        for candidate in candidates[clause]:
            if candidate in seen:
                continue
            seen.add(candidate)
            if candidate not in taken or place(taken[candidate], seen):
                taken[candidate] = clause
                return True
        return False

    return all(place(clause, set()) for clause in range(len(parent.clauses)))


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
    if isinstance(value, int):
        return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else None
    return value if math.isfinite(value) else None


def _is_number(value: object) -> bool:
    return _number(value) is not None


def _always(_constraint: Constraint, _value: object) -> bool:
    return True


_COVERS_EXACT: Final = frozenset({"range", "one_of", "prefix", "path", "url"})
_ANY_BOUNDS: Final = frozenset({"min", "max", "min_inclusive", "max_inclusive"})
_KINDS: Final[Mapping[str, _Kind]] = {
    "exact": _Kind(required=frozenset({"value"}), read=_read_exact, admits=_is_listed, covers=_lists_no_more),
    "one_of": _Kind(
        required=frozenset({"values"}), read=_read_list("values"), admits=_is_listed, covers=_lists_no_more
    ),
    "not_one_of": _Kind(
        required=frozenset({"excluded"}), read=_read_list("excluded"), admits=_is_not_listed, covers=_lists_no_less
    ),
    "range": _Kind(
        required=frozenset(), optional=_ANY_BOUNDS, read=_read_range, admits=_is_in_range, covers=_bounds_are_tighter
    ),
    "contains": _Kind(
        required=frozenset({"required"}), read=_read_list("required"), admits=_contains_all, covers=_lists_no_less
    ),
    "subset": _Kind(
        required=frozenset({"allowed"}), read=_read_list("allowed"), admits=_is_subset, covers=_lists_no_more
    ),
    "wildcard": _Kind(required=frozenset(), read=_read_wildcard, admits=_always, covers=_always),
    "all": _Kind(required=frozenset({"constraints"}), read=None, admits=_all_hold, covers=_each_clause_is_kept),
    "any": _Kind(required=frozenset({"constraints"}), read=None, admits=_one_holds, covers=_each_choice_was_there),
    "prefix": _Kind(required=frozenset({"prefix"}), read=_read_prefix, admits=_starts_with, covers=_extends_prefix),
    "path": _Kind(required=frozenset({"root"}), read=_read_path, admits=_lies_below_root, covers=_root_is_below),
    "url": _Kind(
        required=frozenset({"scheme", "host"}),
        optional=frozenset({"path_prefix"}),
        read=_read_url,
        admits=_points_into,
        covers=_place_is_below,
    ),
    "max_length": _Kind(required=frozenset({"value"}), read=_read_max_length, admits=_is_short, covers=_is_no_longer),
}
