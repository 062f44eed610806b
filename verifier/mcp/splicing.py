"""Puts a member into the `_meta` of a JSON-RPC result, and leaves every other byte as the server wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

_SPACE: Final = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A result, and where it stands in its text."""

    text: str
    result: Mapping[str, Any]
    start: int  # of its opening brace
    meta: tuple[int, int] | None  # where the value of its `_meta` begins and ends


def locate(raw: bytes, identifier: object) -> Located | None:
    """Return the result that answers the request `identifier`; None when the text is no such answer, or not clear."""
    try:
        text = raw.decode("utf-8")
        answer = _members(text, _skip(text, 0))
        if "result" not in answer or "id" not in answer or answer["id"][2] != identifier:
            return None
        start, _, result = answer["result"]
        if not isinstance(result, dict):
            return None
        meta = _members(text, start).get("_meta")
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or a member twice
        return None
    if meta is not None and not isinstance(meta[2], dict):
        return None
    return Located(text=text, result=result, start=start, meta=None if meta is None else meta[:2])


def with_meta(found: Located, name: str, value: str, *, without: tuple[str, ...]) -> bytes:
    """Return the text with one more member of the result's `_meta`; those named `without` are not kept."""
    said = found.result.get("_meta")
    kept = {key: one for key, one in said.items() if key not in without} if isinstance(said, dict) else {}
    ours = f"{json.dumps(name)}:{json.dumps(value)}"
    if found.meta is None:
        at = found.start + 1
        follows = "," if found.result else ""
        return f'{found.text[:at]}"_meta":{{{ours}}}{follows}{found.text[at:]}'.encode()
    begin, end = found.meta
    if isinstance(said, dict) and len(kept) == len(said):
        follows = "," if kept else ""
        return f"{found.text[: begin + 1]}{ours}{follows}{found.text[begin + 1 :]}".encode()
    # The server itself wrote a member of that name: whoever reads must not find two, nor its instead of ours.
    return f"{found.text[:begin]}{json.dumps({**kept, name: value}, ensure_ascii=False)}{found.text[end:]}".encode()


def _members(text: str, at: int) -> dict[str, tuple[int, int, Any]]:
    """Return each member of the object at a place: where its value begins and ends, and the value.

    Raises: ValueError, RecursionError.
    """
    found: dict[str, tuple[int, int, Any]] = {}
    at = _expect(text, at, "{")
    while text[at : at + 1] != "}":
        if found:
            at = _expect(text, at, ",")
        name, at = _DECODER.raw_decode(text, at)
        start = _expect(text, _skip(text, at), ":")
        value, end = _DECODER.raw_decode(text, start)
        if not isinstance(name, str) or name in found:
            raise ValueError("a member twice, or without a name")
        found[name] = start, end, value
        at = _skip(text, end)
    return found


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise ValueError(f"no {mark} where one must be")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
