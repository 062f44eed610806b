"""Decisions over time as bars: what was allowed above what was refused, one bar for each hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _HEIGHT, _FOOT = 1_000, 180, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; `label` stands below it, `title` is read out."""

    label: str
    title: str
    allowed: int
    refused: int


def bars(found: Sequence[Bar], *, title: str) -> Markup:
    """Return the picture, 1,000 by 200 units; a few refusals among many are still seen."""
    highest = max((one.allowed + one.refused for one in found), default=0) or 1
    step = _WIDTH / max(1, len(found))
    parts = [
        Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _WIDTH, _HEIGHT + _FOOT, title
        ),
        Markup('<path class="line" d="M0 {0}H{1}"/>').format(_HEIGHT, _WIDTH),
    ]
    for number, one in enumerate(found):
        left, width = number * step + 2, max(1.0, step - 4)
        refused, allowed = _height(one.refused, highest), _height(one.allowed, highest)
        top = _HEIGHT - refused
        parts.append(Markup("<g><title>{}</title>").format(one.title))
        parts.append(_box("refused", left, top, width, refused))
        parts.append(_box("allowed", left, top - allowed, width, allowed))
        if one.label:
            parts.append(
                Markup('<text class="word faint" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    left + width / 2, _HEIGHT + 15, one.label
                )
            )
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg>")])


def _height(count: int, highest: int) -> float:
    return 0.0 if count == 0 else max(2.0, count / highest * (_HEIGHT - 10))


def _box(kind: str, left: float, top: float, width: float, height: float) -> Markup:
    if height == 0:
        return Markup("")
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, left, top, width, height
    )
