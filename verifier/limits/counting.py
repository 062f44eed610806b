"""Counting one ceiling: fixed windows from the first use on, and GCRA for rates.  Every store counts like this.

Two guards' clocks differ: what counts is the latest moment that either has seen, so no window begins twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from verifier.limits.model import Charge, Count, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one charge meets."""

    allowed: bool
    after: Count  # if it is made
    wait: int | None = 0  # µs until it may work; None: it never will
    left: int = 0  # of the cap, before it


def count(before: Count | None, charge: Charge, now: int) -> Verdict:
    """Return what comes of charging at `now` an account that stands at `before`; None for one never used."""
    at = now if before is None else max(now, before.seen)
    if charge.kind == "rate":
        return _count_rate(before, charge, at)
    start, used = at, 0
    if before is not None and (charge.window is None or at < before.start + charge.window):
        start, used = before.start, before.used
    left = max(0, charge.cap - used)
    after = Count(start=start, used=used + charge.cost, seen=at)
    if charge.cost <= left:
        return Verdict(allowed=True, after=after, left=left)
    is_hopeless = charge.window is None or charge.cost > charge.cap
    return Verdict(
        allowed=False, after=after, left=left, wait=None if is_hopeless else start + (charge.window or 0) - at
    )


def refunded(now: Count, charge: Charge, start: int) -> Count:
    """Return the count after a charge is taken back that fell into the window from `start` on; a past one is past."""
    if charge.kind == "rate":
        return replace(now, start=now.start - charge.cost)
    if now.start != start:
        return now
    return replace(now, used=max(0, now.used - charge.cost))


def worst(charges: Sequence[Charge], verdicts: Sequence[Verdict]) -> Refused | None:
    """Return the ceiling that stands in the way for longest, if any does."""
    refusals = [(charge, one) for charge, one in zip(charges, verdicts, strict=True) if not one.allowed]
    if not refusals:
        return None
    charge, one = max(refusals, key=lambda pair: (pair[1].wait is None, pair[1].wait or 0))
    return Refused(charge=charge, wait=one.wait, left=one.left)


def _count_rate(before: Count | None, charge: Charge, at: int) -> Verdict:
    # Generic cell rate algorithm: `start` is when the next call is due; it may come up to `cap` µs too early.
    due = at if before is None else max(at, before.start)
    after = Count(start=due + charge.cost, used=0, seen=at)
    early = due - at - charge.cap
    return Verdict(allowed=early <= 0, after=after, wait=max(0, early))
