"""JSON Canonicalization Scheme (RFC 8785), and the equality of JSON values that follows from it."""

from __future__ import annotations

from typing import Any

import rfc8785

from did_agent.errors import BadEncoding


def canonicalize(value: object) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises: BadEncoding for integers beyond 2^53-1, lone surrogates, and what JSON cannot say.
    """
    wire: Any = value
    try:
        return rfc8785.dumps(wire)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError, TypeError) as error:
        raise BadEncoding("the value has no canonical JSON form") from error


def equal(left: object, right: object) -> bool:
    """Say whether two JSON values are the same; unlike Python's `==`, true is not 1.

    Raises: BadEncoding.
    """
    return canonicalize(left) == canonicalize(right)
