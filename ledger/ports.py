"""What the ledger needs: a log that can be appended to and read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from ledger.model import Accepted, Question, Row

Sign = Callable[[int, bytes], str]  # size and root to signed checkpoint


class Log(Protocol):
    """An append-only log with one writer at a time."""

    async def append(self, events: Sequence[AuditEvent], *, sign: Sign, now: datetime) -> Accepted:
        """Append what is new, sign the state after it, all in one transaction.

        Raises: StateConflict when an id is there with other content, StoreUnavailable.
        """
        ...

    async def rows(self, question: Question) -> Sequence[Row]:
        """Return the rows asked for, oldest first."""
        ...

    async def size(self) -> int:
        """Return how many rows there are."""
        ...

    async def leaves(self, size: int) -> Sequence[bytes]:
        """Return the hashes of the first `size` leaves."""
        ...

    async def checkpoint(self) -> str | None:
        """Return the newest signed checkpoint; None before the first row."""
        ...

    def export(self) -> AsyncIterator[bytes]:
        """Yield the lines of the whole log, each checkpoint after the rows it covers."""
        ...
