"""`format` of JSON Schema 2020-12, 7.3: the ones that are asserted here; others are notes, as the standard has it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

from did_agent.credential.identifier import is_url
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadTimestamp

_EMAIL: Final = re.compile(r"[^@\s\x00-\x20]{1,64}@[^@\s\x00-\x20]{1,255}")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*")
_REFERENCE: Final = re.compile(r"[^\x00-\x20\x7f<>\"{}|\\^`]*")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


def _form(pattern: re.Pattern[str], *, ascii_only: bool = False) -> Callable[[object], bool]:
    def is_formed(value: object) -> bool:
        if not isinstance(value, str):
            return True
        return pattern.fullmatch(value) is not None and (value.isascii() or not ascii_only)

    return is_formed


def _moment(before: str, after: str) -> Callable[[object], bool]:
    def is_formed(value: object) -> bool:
        if not isinstance(value, str):
            return True
        try:
            parse_timestamp(before + value + after)
        except BadTimestamp:
            return False
        return True

    return is_formed


def _is_iri(value: object) -> bool:
    return not isinstance(value, str) or is_url(value)


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (value.isascii() and is_url(value))


def _address(kind: Callable[[str], object]) -> Callable[[object], bool]:
    def is_formed(value: object) -> bool:
        if not isinstance(value, str):
            return True
        try:
            kind(value)
        except ValueError:
            return False
        return "%" not in value  # a zone means something on one machine alone

    return is_formed


# No `regex`: to try one out is to run it.
FORMATS: Final[Mapping[str, Callable[[object], bool]]] = {
    "date-time": _moment("", ""),
    "date": _moment("", "T00:00:00Z"),
    "time": _moment("2000-01-01T", ""),
    "email": _form(_EMAIL, ascii_only=True),
    "idn-email": _form(_EMAIL),
    "hostname": _form(_HOST),
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "uri": _is_uri,
    "iri": _is_iri,
    "uri-reference": _form(_REFERENCE, ascii_only=True),
    "iri-reference": _form(_REFERENCE),
    "uuid": _form(_UUID),
    "json-pointer": _form(_POINTER),
}
