"""How refusals of nobody are recorded: each one in quiet times, and counted together in a flood.

Anybody can cause them, so their records are bounded: otherwise who has no credential could fill the room for the
records of those who have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MOST: Final = 50  # records a second; one a second while the room is scarce
_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Refusals:
    """Decides which refusal gets a record of its own."""

    since: datetime | None = None  # start of the present second
    recorded: int = 0  # in it
    unrecorded: int = 0  # since the last record

    def take(self, now: datetime, *, is_pressed: bool) -> int | None:
        """Return how many were not recorded before this one, which is to be; None when this one is not either."""
        if self.since is None or now - self.since >= _SECOND or now < self.since:
            self.since, self.recorded = now, 0
        if self.recorded >= (1 if is_pressed else MOST):
            self.unrecorded += 1
            return None
        self.recorded += 1
        counted, self.unrecorded = self.unrecorded, 0
        return counted
