"""Strict JSON (RFC 8259 with the ambiguities of section 4, 6 and 8 refused): one text, one meaning.

Size is checked before the parser sees the text, so a refusal costs O(limit) (LIM-01); nesting beyond what the parser
itself stands ends in the same refusal.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

import orjson

from did_agent.errors import DuplicateMember, NotJSON, TooDeep, TooLarge

MAX_BODY: Final = 262_144  # bytes
MAX_DEPTH: Final = 32  # levels of arrays and objects
MAX_MEMBERS: Final = 256  # members of one object
MAX_ITEMS: Final = 1_000  # elements of one array
MAX_STRING: Final = 65_536  # characters of one string
MAX_WIDE: Final = 20  # digits of an integer of 64 bits, with its sign
MAX_INTEGER: Final = 2**53 - 1  # beyond it two parsers may read two numbers

_UNSURE: Final = object()


def parse_json(
    raw: bytes | str,
    *,
    max_bytes: int = MAX_BODY,
    max_depth: int = MAX_DEPTH,
    max_string: int = MAX_STRING,
    wide_integers: bool = False,
) -> object:
    """Return the value of a JSON text; `wide_integers` lets 64 bits through, where nothing is decided by numbers.

    Raises: NotJSON, DuplicateMember, TooDeep, TooLarge.
    """
    value = _round_trip(raw, max_bytes)
    if value is not _UNSURE:
        if _brackets(raw) > max_depth:  # fewer cannot be deeper
            _require_depth(value, max_depth)
        return value
    text = _text(raw, max_bytes)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_wide_integer if wide_integers else _integer,
        )
    except RecursionError as error:
        raise TooDeep(f"JSON deeper than {max_depth} levels") from error
    except ValueError as error:
        raise NotJSON("not a JSON text") from error
    _require_depth(value, max_depth)
    # Bounds that so short a text cannot break need no second look at every value.
    if len(text) > MAX_STRING or text.count(",") >= MAX_ITEMS or "\\u" in text or not text.isascii():
        _require_bounds(value, max_string)
    return value


def parse_object(
    raw: bytes | str, *, max_bytes: int = MAX_BODY, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING
) -> dict[str, object]:
    """Return the members of a JSON text that is an object.

    Raises: NotJSON, DuplicateMember, TooDeep, TooLarge.
    """
    value = parse_json(raw, max_bytes=max_bytes, max_depth=max_depth, max_string=max_string)
    if not isinstance(value, dict):
        raise NotJSON("the JSON text is not an object")
    return value


def unverified_json(raw: bytes, *, max_bytes: int) -> object:
    """Return what a text seems to say, for callers that go on only if the canonical form of it is the text itself.

    Such a text repeats no member and hides nothing in escapes; where it is hashed, its canonical form is made anyway.
    Raises: NotJSON, TooLarge.
    """
    if len(raw) > max_bytes:
        raise TooLarge(f"JSON text longer than {max_bytes} bytes")
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise NotJSON("not a JSON text") from error


def text_of(value: object) -> bytes | None:
    """Return a text by which a value is known again, members in the order they have; None for what is no JSON."""
    try:
        return orjson.dumps(value)
    except (TypeError, RecursionError):
        return None


def _brackets(raw: bytes | str) -> int:
    return raw.count("{") + raw.count("[") if isinstance(raw, str) else raw.count(b"{") + raw.count(b"[")


def _round_trip(raw: bytes | str, max_bytes: int) -> object:
    """Return the value of a text that is exactly what its value serializes to, else `_UNSURE`.

    Such a text repeats no member, hides nothing in escapes and writes every number in its one shortest way, so it
    needs none of the hooks below.  It is how programs write JSON; everything else takes the longer road.
    """
    if len(raw) > max_bytes:
        raise TooLarge(f"JSON text longer than {max_bytes} bytes")
    try:
        sent = raw.encode() if isinstance(raw, str) else raw
        if len(sent) > MAX_STRING or sent.count(b",") >= MAX_MEMBERS:
            return _UNSURE  # long enough to break a bound on strings, members or items
        value = orjson.loads(sent)
        return value if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == sent else _UNSURE
    except (ValueError, TypeError, RecursionError):  # orjson's errors are of these kinds
        return _UNSURE


def _text(raw: bytes | str, max_bytes: int) -> str:
    if len(raw) > max_bytes:
        raise TooLarge(f"JSON text longer than {max_bytes} bytes")
    if isinstance(raw, str):
        text = raw
    else:
        try:
            text = raw.decode("utf-8", errors="strict")
        except UnicodeDecodeError as error:
            raise NotJSON("not UTF-8") from error
    if text.startswith("\ufeff"):
        raise NotJSON("a byte order mark before the JSON text")
    return text


def _require_depth(value: object, max_depth: int) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if item.__class__ is dict or item.__class__ is list
        ]
    if level:
        raise TooDeep(f"JSON deeper than {max_depth} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MAX_MEMBERS:
        raise TooLarge(f"an object with more than {MAX_MEMBERS} members")
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember("a member is named twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is not a JSON number")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotJSON("a number too large for a double")
    return value


def _integer(digits: str) -> int:
    if len(digits) > len(str(MAX_INTEGER)) + 1:
        raise NotJSON("an integer beyond 2^53-1")
    value = int(digits)
    if abs(value) > MAX_INTEGER:
        raise NotJSON("an integer beyond 2^53-1")
    return value


def _wide_integer(digits: str) -> int:
    if len(digits) > MAX_WIDE:
        raise NotJSON("an integer beyond 64 bits")
    return int(digits)


def _require_bounds(value: object, max_string: int) -> None:
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            _require_string(item, max_string)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            if len(item) > MAX_ITEMS:
                raise TooLarge(f"an array with more than {MAX_ITEMS} elements")
            waiting.extend(item)


def _require_string(text: str, max_string: int) -> None:
    if len(text) > max_string:
        raise TooLarge(f"a string longer than {max_string} characters")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotJSON("a lone surrogate") from error
