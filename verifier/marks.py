"""Marks: that a tool was called where a rule watches it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What stood under a key before a call marked it."""

    key: str
    until: int | None  # µs since the epoch; None when there was nothing
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The marks of one call, so that they can be taken back."""

    by: str  # ours and fresh
    before: tuple[Before, ...]
    now: datetime
