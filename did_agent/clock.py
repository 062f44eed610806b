"""The only place that reads the clock, and the strict timestamps of RFC 3339 and RFC 7519."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from did_agent.errors import BadTimestamp

Clock = Callable[[], datetime]

# XML Schema dateTimeStamp as VCDM 2.0 demands it: the zone is required.
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)


def system_clock() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def parse_timestamp(text: object) -> datetime:
    """Return the moment a dateTimeStamp names (VCDM 2.0, section 4.9), in UTC.

    Raises: BadTimestamp.
    """
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text):
        raise BadTimestamp(repr(text)[:80])
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTimestamp(text) from error


def format_timestamp(moment: datetime) -> str:
    """Return `moment` as a dateTimeStamp in UTC with whole seconds, for example 2026-11-23T10:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_milliseconds(moment: datetime) -> str:
    """Return `moment` as a dateTimeStamp in UTC with milliseconds, as audit events carry it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def numeric_date(moment: datetime) -> int:
    """Return `moment` as a NumericDate: whole seconds since the epoch (RFC 7519, section 2)."""
    return int(moment.timestamp())


def from_numeric_date(seconds: int) -> datetime:
    """Return the moment a NumericDate names.

    Raises: BadTimestamp when it lies outside what a calendar can hold.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadTimestamp(str(seconds)[:40]) from error
