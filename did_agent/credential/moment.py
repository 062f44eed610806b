"""Moments as XML Schema writes them: dateTimeStamp, and dateTime for VCDM 1.1 (VCDM 2.0, 4.9 and A.2; XSD 1.1, 3.3.7).

Years before 1 and after 9999 are moments too, and a fraction has as many digits as it likes, so moments are counted
here and not handed to a calendar that knows fewer of them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from did_agent.errors import BadTimestamp

MAX_STAMP: Final = 64  # characters; a year of forty digits is long enough

_STAMP: Final = re.compile(
    r"(-?(?:[1-9][0-9]{3,}|0[0-9]{3}))-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T(?:([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]+))?|24:00:00(?:\.0+)?)"
    r"(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """A point in time; moments compare as time does."""

    seconds: int  # since 1970-01-01T00:00:00Z, proleptic Gregorian
    fraction: str = ""  # its decimal digits without trailing zeros, which sort as numbers do


def parse_moment(value: object, *, zone_required: bool = True) -> Moment:
    """Return the moment that a dateTimeStamp names; a dateTime without zone, where one may be left out, is in UTC.

    Raises: BadTimestamp.
    """
    found = _STAMP.fullmatch(value) if isinstance(value, str) and len(value) <= MAX_STAMP else None
    if found is None or (zone_required and found[8] is None):
        raise BadTimestamp(f"{str(value)[:MAX_STAMP]!r} is not a dateTimeStamp")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if day > _DAYS[month - 1] + (month == 2 and _is_leap(year)):
        raise BadTimestamp(f"{str(value)[:MAX_STAMP]!r} is not in the calendar")
    hour, minute, second = (24, 0, 0) if found[4] is None else (int(found[4]), int(found[5]), int(found[6]))
    clock = (hour * 60 + minute - _offset(found[8])) * 60 + second
    return Moment(_days(year, month, day) * 86_400 + clock, (found[7] or "").rstrip("0"))


def moment_of(now: datetime) -> Moment:
    """Return the moment of an aware datetime."""
    since = now - _EPOCH
    return Moment(since.days * 86_400 + since.seconds, f"{since.microseconds:06d}".rstrip("0"))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date; years are astronomical, so 0000 is a leap year."""
    before = year - 1
    passed = before * 365 + before // 4 - before // 100 + before // 400
    in_year = sum(_DAYS[: month - 1]) + (month > 2 and _is_leap(year)) + day - 1
    return passed + in_year - 719_162


def _offset(zone: str | None) -> int:
    """Return the minutes that a zone is ahead of UTC."""
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes
