"""RFC 9396: what a request wants in detail, and what of it is granted; never more than credentials and rights give.

The one type is that of the credentials' own capabilities.  A detail narrows: tool by tool it is met with what is held,
and where neither is within the other nothing of it is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from bridge.model import Grant, OAuthRequest
from did_agent.credential import closed
from did_agent.credential.capability import (
    DETAIL_TYPE,
    Capability,
    covered_by,
    parse_authorization_detail,
    scopes_of,
    to_authorization_detail,
)
from did_agent.credential.constraint import Constraint
from did_agent.credential.limits import Account, Limits
from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import DetailsRefused, EmptyGrant, Malformed, TooLarge, UnsupportedDetails
from did_agent.tokens.access_token import MAX_DETAILS

TYPES: Final = (DETAIL_TYPE,)
MAX_TEXT: Final = 16_384  # bytes of the parameter
MAX_ENTRIES: Final = 16
MAX_TOOLS: Final = 64  # tools of all entries together; each is compared with all that is held of it
MAX_DEPTH: Final = 10  # levels of its JSON
MAX_WORDS: Final = 300  # characters of the words for one tool

# The words of people for kinds of constraints and their members; what has none is told as it stands.
_KINDS: Final = {
    "exact": "exactly",
    "range": "",
    "one_of": "",
    "prefix": "",
    "wildcard": "anything",
    "not_one_of": "anything but",
    "subset": "only of",
    "max_length": "of length at most",
}
_UNSAID: Final = ("value", "values", "excluded", "required", "allowed")
_MEMBERS: Final = {"min": "at least", "max": "at most", "prefix": "begins with", **dict.fromkeys(_UNSAID, "")}

Details = tuple[Capability, ...]


def parse(text: str | None) -> Details | None:
    """Return what an `authorization_details` parameter names; None when it is absent.

    Raises: UnsupportedDetails for what cannot be read, is of another type, or names more than one resource.
    """
    if text is None:
        return None
    try:
        value = parse_json(text, max_bytes=MAX_TEXT, max_depth=MAX_DEPTH)
        entries = closed.array(value, "authorization_details", least=1, most=MAX_ENTRIES)
        found = tuple(parse_authorization_detail(entry) for entry in entries)
    except Malformed as error:
        raise UnsupportedDetails(f"authorization_details: {error.detail}") from error
    if len({one.resources for one in found}) != 1 or len(found[0].resources) != 1:
        raise UnsupportedDetails("all details must have the one location that the token is for")
    if not all(one.tools for one in found) or sum(len(one.tools) for one in found) > MAX_TOOLS:
        raise UnsupportedDetails(f"a detail names no tool, or all of them more than {MAX_TOOLS}")
    return found


def with_location(request: OAuthRequest) -> OAuthRequest:
    """Return a request that names its resource, be it by its details alone.

    Raises: UnsupportedDetails.
    """
    details = parse(request.get("authorization_details"))
    return request if request.resources or details is None else replace(request, resources=details[0].resources)


def require_at(resource: str, text: str | None) -> Details | None:
    """Return the details of a request for `resource`.

    Raises: UnsupportedDetails.
    """
    details = parse(text)
    if details is not None and details[0].resources != (resource,):
        raise UnsupportedDetails("the details are for another resource")
    return details


def narrowed(grant: Grant, details: Details | None, *, account: str) -> Grant:
    """Return what is left of a grant within `details`; None asks for nothing in detail.

    `account` names what the details belong to, such as a consent: their own limits are counted for all its tokens.
    Raises: DetailsRefused when nothing is left.
    """
    if details is None:
        return grant
    kept = meet(grant.authority.capabilities, details, account=account)
    scopes = grant.scopes & scopes_of(kept)
    kept = _joined(one for one in kept if scopes_of([one]) <= scopes)
    if not kept:
        raise DetailsRefused("nothing is left of the grant within authorization_details")
    if len(kept) > MAX_DETAILS:
        raise TooLarge(f"more than {MAX_DETAILS} details are left; ask for fewer tools")
    return replace(grant, scopes=scopes, authority=replace(grant.authority, capabilities=kept), is_detailed=True)


def settled(grant: Grant) -> Grant:
    """Return a grant whose details name the tools of its scopes alone: what rules took away is no granted detail."""
    if not grant.is_detailed:
        return grant
    parts = (one for whole in grant.authority.capabilities for _, one in _singles(whole))
    kept = _joined(one for one in parts if scopes_of([one]) <= grant.scopes)
    return replace(grant, authority=replace(grant.authority, capabilities=kept))


def meet(held: Iterable[Capability], wanted: Iterable[Capability], *, account: str = "") -> Details:
    """Return what both sides cover, one tool each; a part is covered by one of `held` and by one of `wanted`."""
    asked: dict[str, list[tuple[Capability, str]]] = {}
    for number, whole in enumerate(wanted):
        for tool, one in _singles(whole):
            asked.setdefault(tool, []).append((one, f"{account}#{number}"))
    found: dict[str, list[Capability]] = {}
    for tool, mine in (pair for whole in held for pair in _singles(whole)):
        for theirs, name in asked.get(tool, ()):
            both = _both(mine, theirs, name)
            if both is not None:
                found[tool] = _with(found.get(tool, []), both)
    return tuple(one for parts in found.values() for one in parts)


def offered(scopes: frozenset[str], held: Iterable[Capability] | None, details: Details | None) -> frozenset[str]:
    """Return which of the scopes a person could allow are within `details`; `held` is None where no agent acts.

    Raises: EmptyGrant.
    """
    if details is None:
        return scopes
    left = scopes & scopes_of(details if held is None else meet(held, details))
    if not left:
        raise EmptyGrant("nothing is left within authorization_details")
    return left


def granted(grant: Grant) -> list[dict[str, object]] | None:
    """Return the granted details as the token response tells them (RFC 9396, 7); None when nobody asked for any."""
    if not grant.is_detailed:
        return None
    return [to_authorization_detail(one, grant.resource) for one in grant.authority.capabilities]


def in_words(details: Details | None) -> tuple[tuple[str, str], ...]:
    """Return each tool that has conditions, with these in words for people."""
    lines = []
    for tool, one in (pair for whole in details or () for pair in _singles(whole)):
        conditions = [f"{json.dumps(name)[1:-1]}: {_words(rule)}" for name, rule in sorted(one.tools[tool].items())]
        if one.limits is not None:
            conditions += [f"{name} {value}" for name, value in one.limits.to_json().items()]
        if conditions:
            lines.append((tool, "; ".join(conditions)[:MAX_WORDS]))
    return tuple(lines)


def _singles(whole: Capability) -> Sequence[tuple[str, Capability]]:
    return [(name, replace(whole, tools={name: arguments})) for name, arguments in whole.tools.items()]


def _with(parts: list[Capability], one: Capability) -> list[Capability]:
    # What another part covers entirely, and counts in no other account, says nothing of its own.
    if any(_says_all(other, one) for other in parts):
        return parts
    return [*(other for other in parts if not _says_all(one, other)), one]


def _says_all(wider: Capability, one: Capability) -> bool:
    return covered_by(one, wider) and set(wider.accounts) <= set(one.accounts)


def _joined(parts: Iterable[Capability]) -> Details:
    """Return the same with as few entries as can be: one tool stands once in each."""
    joined: list[Capability] = []
    for part in parts:
        (tool,) = part.tools
        counted = (part.limits, part.accounts)
        fitting = (n for n, one in enumerate(joined) if (one.limits, one.accounts) == counted and tool not in one.tools)
        place = next(fitting, None)
        if place is None:
            joined.append(part)
        else:
            joined[place] = replace(part, tools={**joined[place].tools, **part.tools})
    return tuple(joined)


def _both(mine: Capability, theirs: Capability, name: str) -> Capability | None:
    limits = _stricter(mine.limits, theirs.limits)
    accounts = mine.accounts
    if theirs.limits is not None and limits != mine.limits:
        account = base64url.encode(sha256(name.encode()))
        accounts = (*accounts, Account(id=account, limits=theirs.limits))
    for one in (theirs, mine):
        both = replace(one, limits=limits, accounts=accounts)
        if covered_by(both, mine) and covered_by(both, theirs):
            return both
    return None


def _stricter(mine: Limits | None, theirs: Limits | None) -> Limits | None:
    if mine is None or theirs is None:
        return mine or theirs
    # An absent limit means the one that is held, never "everything".
    both = theirs.inheriting(mine)
    return both if both.within(mine) else mine


def _words(constraint: Constraint) -> str:
    source = {name: value for name, value in constraint.to_json().items() if name != "constraint_type"}
    if constraint.clauses:
        return f" {'and' if constraint.kind == 'all' else 'or'} ".join(f"({_words(one)})" for one in constraint.clauses)
    said = ", ".join(f"{_MEMBERS.get(name, name)} {_value(value)}".strip() for name, value in source.items())
    return f"{_KINDS.get(constraint.kind, constraint.kind)} {said}".strip()


def _value(value: object) -> str:
    if isinstance(value, list):
        return " or ".join(_value(one) for one in value) or "nothing"
    return json.dumps(value)
