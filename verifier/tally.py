"""What a guard counts; labels come from closed sets, never from callers (OPS-04)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts since the start."""

    decisions: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # decision, reason, form
    refusals: Counter[str] = field(default_factory=Counter)  # of requests nobody was admitted for, by reason
    cut: Counter[str] = field(default_factory=Counter)  # streams, by reason
