"""The only place that reads the clock, and the plain forms a moment is written in (RFC 3339, RFC 7519)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def format_timestamp(moment: datetime) -> str:
    """Return `moment` as a dateTimeStamp in UTC with whole seconds, for example 2026-11-23T10:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_milliseconds(moment: datetime) -> str:
    """Return `moment` as a dateTimeStamp in UTC with milliseconds, as audit events carry it."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def numeric_date(moment: datetime) -> int:
    """Return `moment` as a NumericDate: whole seconds since the epoch (RFC 7519, section 2)."""
    return int(moment.timestamp())
