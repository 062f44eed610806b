"""Families of refresh tokens: what a person allowed for longer, one successor at a time (OAuth 2.1, 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.model import Code
from did_agent.tokens.confirmation import Confirmation

FAMILY_LIFE: Final = timedelta(days=30)  # of a family, from consent on; never prolonged
FAMILY_IDLE: Final = timedelta(days=7)  # without use a family is over
GRACE: Final = timedelta(seconds=10)  # in which a client whose answer was lost gets the same successor (TOK-11)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFamily:
    """All refresh tokens that came of one consent; only the newest is good."""

    id: str
    code: Code  # what was consented to, by whom, for which client and actor
    confirmation: Confirmation | None  # the key its holder must prove, for ever
    generation: int  # of the newest token
    rotated: datetime
    expires: datetime

    def is_live(self, now: datetime) -> bool:
        """Tell whether the family has neither aged nor idled out."""
        return now < self.expires and now < self.rotated + FAMILY_IDLE
