"""Decisions as points in time, one lane for each agent or person: what happened when, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from console.drawing.text import fit

_WIDTH, _LANE, _NAME, _FOOT = 1_000, 26, 190, 22
_LANES = 12  # drawn; the rest is in the table
_NAMED = Markup('<text class="word" x="0" y="{:.1f}">{}<title>{}</title></text>')
_FOOTED = Markup('<text class="word faint" x="{}" y="{}" text-anchor="{}">{}</text>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One decision."""

    lane: str
    at: datetime
    allowed: bool
    title: str
    href: str


def lanes(found: Sequence[Point], *, title: str) -> Markup:
    """Return the picture, 1,000 units wide; the lanes with most points first."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.lane] = counts.get(one.lane, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))[:_LANES]
    first, last = (min(one.at for one in found), max(one.at for one in found)) if found else (None, None)
    height = _LANE * len(names) + _FOOT
    parts = [
        Markup('<svg class="picture" viewBox="0 0 {} {}" role="group" aria-label="{}">').format(_WIDTH, height, title)
    ]
    for number, name in enumerate(names):
        y = number * _LANE + _LANE / 2
        parts.append(Markup('<path class="line" d="M{} {:.1f}H{}"/>').format(_NAME, y, _WIDTH))
        parts.append(_NAMED.format(y + 4, fit(name, 24), name))
    if first is not None and last is not None:
        parts += [_point(one, names.index(one.lane), first, last) for one in found if one.lane in names]
    if first is not None and last is not None:
        parts.append(_FOOTED.format(_NAME, height - 4, "start", f"{first:%m-%d %H:%M:%S}"))
        parts.append(_FOOTED.format(_WIDTH, height - 4, "end", f"{last:%m-%d %H:%M:%S} UTC"))
    return Markup("").join([*parts, Markup("</svg>")])


def _point(one: Point, lane: int, first: datetime, last: datetime) -> Markup:
    whole = max((last - first) / timedelta(seconds=1), 0.001)
    x = _NAME + 6 + (one.at - first) / timedelta(seconds=1) / whole * (_WIDTH - _NAME - 12)
    y = lane * _LANE + _LANE / 2
    # Told apart by form as well as by colour.
    form = (
        Markup('<circle class="allowed" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x, y)
        if one.allowed
        else Markup('<path class="refused" d="M{:.1f} {:.1f}l5 9h-10z"/>').format(x, y - 5)
    )
    return Markup('<a href="{}" tabindex="-1"><title>{}</title>{}</a>').format(one.href, one.title, form)
