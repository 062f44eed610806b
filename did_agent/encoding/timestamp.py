"""Timestamps as others wrote them, read strictly: dateTimeStamp (VCDM 2.0, 4.9) and NumericDate (RFC 7519, 2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from did_agent.errors import BadTimestamp

# XML Schema dateTimeStamp as VCDM 2.0 demands it: the zone is required.
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)


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


def from_numeric_date(seconds: int) -> datetime:
    """Return the moment a NumericDate names.

    Raises: BadTimestamp when it lies outside what a calendar can hold.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadTimestamp(str(seconds)[:40]) from error
