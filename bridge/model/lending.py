"""Lendings: organisations whose agents may act for people and agents of another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """Agents of `giver` may act for whoever is of `taker`; nothing goes the other way."""

    giver: str
    taker: str
    since: datetime

    @property
    def id(self) -> str:
        """What tokens hang on that need it; no name of anything else has a space."""
        return f"lending {self.giver} {self.taker}"
