"""Groups of a person that policy speaks of: a resource learns of no others (RFC 9068, 2.2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from did_agent.policy.document import PolicyDocument


def spoken_of(document: PolicyDocument, groups: Iterable[str]) -> frozenset[str]:
    """Return those of `groups` that the roles, protected agents or rules of a policy name.

    A rule that forbids must never miss a group (POL-01): where rules write names with escapes, all groups count.
    """
    named = {group for role in document.roles for group in role.groups}
    named |= {group for one in document.guarded.values() for group in one.groups}
    rules = document.rules
    return frozenset(group for group in groups if group in named or group in rules or "\\" in rules)
