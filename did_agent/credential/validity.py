"""Validity periods, judged alike for credentials and status lists (VCDM 2.0, 4.9; VCX-11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadCredential, Expired, NotYetValid

FUTURE_SKEW: Final = timedelta(seconds=30)  # how far an issuer's clock may be ahead of ours; the end has no grace


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From when until when a signed statement holds."""

    start: datetime
    end: datetime

    def require_current(self, now: datetime, what: str) -> None:
        """Return when `now` lies in [start - skew, end).

        Raises: NotYetValid, Expired.
        """
        if now >= self.end:
            raise Expired(f"{what} ended {self.end:%FT%TZ}")
        if now + FUTURE_SKEW < self.start:
            raise NotYetValid(f"{what} starts {self.start:%FT%TZ}")


def parse_period(document: Mapping[str, object]) -> Period:
    """Return the period between `validFrom` and `validUntil`, both of which must be there.

    Raises: BadCredential, BadTimestamp.
    """
    start, end = parse_timestamp(document["validFrom"]), parse_timestamp(document["validUntil"])
    if end <= start:
        raise BadCredential("validUntil is not after validFrom")
    return Period(start=start, end=end)
