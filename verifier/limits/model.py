"""Charges of one call, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

Kind = Literal["amount", "calls", "once", "rate"]

SECOND: Final = 1_000_000  # µs; all times of counting are whole µs since the epoch, exact in every store
KEPT: Final = 92 * 86_400 * SECOND  # µs a count is kept after its last use: longer than what was granted is renewed for
MARGIN: Final = 3_600 * SECOND  # µs it is kept beyond that, for clocks that differ
HOUR: Final = 3_600 * SECOND  # a row's end moves in steps of this, so that a spend rarely touches an index
REFUNDABLE: Final = 600 * SECOND  # µs in which a spend can be taken back

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one call takes from one ceiling of one account."""

    account: str
    kind: Kind
    cap: int  # calls, or billionths of the currency; of a rate the µs that calls may come too early
    cost: int  # 1, or billionths; of a rate the µs between two calls
    window: int | None = None  # µs that `cap` is for, from the first use on; None for ever

    @property
    def kept(self) -> int:
        """How long the count must be kept after its last use, in µs."""
        if self.kind == "rate":
            return self.cap + self.cost + MARGIN
        return (KEPT if self.window is None else self.window) + MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a store knows of one ceiling of one account."""

    start: int  # of the window; of a rate when the next call would be due
    used: int
    seen: int  # the latest moment anybody counted at


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """All charges of a call were made."""

    id: str
    charges: tuple[Charge, ...]
    starts: tuple[int, ...]  # the windows they fell into


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was charged; this is the ceiling that stands in the way for longest."""

    charge: Charge
    wait: int | None  # µs until it may work again; None when it never will
    left: int  # of the cap


def microseconds(moment: datetime) -> int:
    """Return a moment as whole µs since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def row_end(charge: Charge, now: int) -> int:
    """Return when a row that was used at `now` may be deleted."""
    return (now + charge.kept) // HOUR * HOUR + HOUR
