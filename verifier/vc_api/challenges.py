"""Challenges of the VC-API: random, for minutes, spent by the first presentation that answers them (VCX-01)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

LIFE: Final = timedelta(seconds=300)
MAX_OPEN: Final = 10_000  # the oldest goes first; whoever fills the memory loses only challenges


class Challenges:
    """Open challenges of one process."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, datetime] = OrderedDict()
        self._spent: OrderedDict[str, None] = OrderedDict()  # an answer that was taken must stay known as ours

    def create(self, now: datetime) -> str:
        """Return a fresh challenge."""
        challenge = secrets.token_urlsafe(24)
        self._open[challenge] = now + LIFE
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return challenge

    def knows(self, challenge: str) -> bool:
        """Say whether a challenge was made here."""
        return challenge in self._open or challenge in self._spent

    def spend(self, challenge: str, now: datetime) -> bool:
        """Spend a challenge; False when it was spent, is over, or was never made here."""
        until = self._open.pop(challenge, None)
        if until is None:
            return False
        self._spent[challenge] = None
        if len(self._spent) > MAX_OPEN:
            self._spent.popitem(last=False)
        return now < until
