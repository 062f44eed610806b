"""JSON Canonicalization Scheme (RFC 8785), and the equality of JSON values that follows from it.

Two libraries: orjson where its sorted output is the canonical form by construction, rfc8785 for everything else.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
import rfc8785

from did_agent.errors import BadEncoding

_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER  # 2^53-1, as RFC 8785 has it
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# Where the shortcut could differ: a float (digits may be written otherwise; NaN becomes null), or a character beyond
# the basic plane (RFC 8785 sorts by UTF-16, orjson by UTF-8).  Inside a string the same bytes only cost time.
_DIGITS: Final = bytes.maketrans(b"123456789-", b"0000000000")
_BEFORE_NUMBER: Final = (b'":0', b",0", b"[0")
_FLOAT: Final = re.compile(rb"-?[0-9]+[.eE]")
_BEYOND: Final = re.compile(rb"[\xf0-\xf4]")
_CONTAINERS: Final = b'{["'


def canonicalize(value: object) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises: BadEncoding for integers beyond 2^53-1, lone surrogates, and what JSON cannot say.
    """
    try:
        text = orjson.dumps(value, option=_OPTIONS)
    except (TypeError, RecursionError):  # orjson.JSONEncodeError is a TypeError
        return reference(value)
    if text[0] not in _CONTAINERS or _may_hold_float(text) or (b"null" in text and _holds_float(value)):
        return reference(value)
    return text if text.isascii() or not _BEYOND.search(text) else reference(value)


def canonicalize_strings(value: object) -> bytes:
    """Return the canonical bytes of objects and arrays that hold strings and null alone, which the caller has seen to.

    Raises: BadEncoding for lone surrogates.
    """
    try:
        text = orjson.dumps(value, option=_OPTIONS)
    except (TypeError, RecursionError):
        return reference(value)
    return text if text.isascii() or not _BEYOND.search(text) else reference(value)


def _may_hold_float(text: bytes) -> bool:
    # A search for any digit after a mark runs at the speed of memory; only what it finds is looked at closely.
    digits = text.translate(_DIGITS)
    for mark in _BEFORE_NUMBER:
        at = digits.find(mark)
        while at >= 0:
            if _FLOAT.match(text, at + len(mark) - 1):
                return True
            at = digits.find(mark, at + 1)
    return False


def _holds_float(value: object) -> bool:
    # Asked only where a null stands in the text: it may have been NaN.
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, float):
            return True
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return False


def reference(value: object) -> bytes:
    """Return the same by rfc8785 alone: the reference that the shortcut is tested against.

    Raises: BadEncoding.
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
