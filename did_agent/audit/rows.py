"""The leaf of one row as it is shown: opened fields are put back as the commitments that were hashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from did_agent.audit.merkle import leaf_hash
from did_agent.audit.personal import committed
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadLog


def leaf_of(event: Mapping[str, Any], salts: Mapping[str, str]) -> bytes:
    """Return the leaf hash of an event that is shown with the salts of its sealed fields.

    Raises: BadLog when a salt is for no field, Malformed.
    """
    return leaf_hash(canonicalize(committed(event, salts) if salts else dict(event)))


def read_salts(members: object) -> dict[str, str]:
    """Return the salts beside a row.

    Raises: BadLog.
    """
    if not isinstance(members, dict) or not all(isinstance(one, str) for one in members.values()):
        raise BadLog("salts are an object of strings")
    return members
