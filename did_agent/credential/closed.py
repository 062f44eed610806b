"""Closed schemas: an object has exactly the members its kind allows, each of exactly one JSON type (VCX-14)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from did_agent.errors import BadCredential, Malformed

MAX_URI: Final = 2048  # characters of any identifier inside a credential

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!#$%&'()+,./0-9:;=?@A-Z\[\]_a-z~-]{1,2000}")


def members(
    value: object,
    where: str,
    *,
    required: frozenset[str],
    optional: frozenset[str] = frozenset(),
    error: type[Malformed] = BadCredential,
) -> Mapping[str, object]:
    """Return `value` as an object that has all `required`, some `optional` and no other members.

    A member that this version does not know might restrict the grant, so it is refused, never skipped.
    Raises: `error`.
    """
    if not isinstance(value, dict):
        raise error(f"{where} is not an object")
    names = value.keys()
    if not required <= names:
        raise error(f"{where} lacks {', '.join(sorted(required - names))}")
    if len(names) > len(required) and not names <= required | optional:
        raise error(f"{where} has unknown members: {', '.join(sorted(map(repr, names - required - optional)))[:200]}")
    return value


def text(value: object, where: str, *, max_chars: int = MAX_URI, error: type[Malformed] = BadCredential) -> str:
    """Return `value` as a non-empty string of at most `max_chars`.

    Raises: `error`.
    """
    if not isinstance(value, str) or not 0 < len(value) <= max_chars:
        raise error(f"{where} is not a string of 1 to {max_chars} characters")
    return value


def uri(value: object, where: str, *, error: type[Malformed] = BadCredential) -> str:
    """Return `value` as an absolute URI (RFC 3986) without wildcard; it is compared as an exact string.

    Raises: `error`.
    """
    if not isinstance(value, str) or not _URI.fullmatch(value):
        raise error(f"{where} is not an absolute URI")
    return value


def whole(value: object, where: str, *, least: int, most: int, error: type[Malformed] = BadCredential) -> int:
    """Return `value` as an integer in [least, most]; `true` is not the number one.

    Raises: `error`.
    """
    if type(value) is not int or not least <= value <= most:
        raise error(f"{where} is not an integer from {least} to {most}")
    return value


def array(
    value: object, where: str, *, most: int, least: int = 0, error: type[Malformed] = BadCredential
) -> Sequence[object]:
    """Return `value` as an array with `least` to `most` items.

    Raises: `error`.
    """
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise error(f"{where} is not an array of {least} to {most} items")
    return value


def constant(value: object, where: str, expected: object, *, error: type[Malformed] = BadCredential) -> None:
    """Require that `value` is exactly the string or the list of strings `expected`.

    Raises: `error`.
    """
    if type(value) is not type(expected) or value != expected:
        raise error(f"{where} must be {expected!r}")
