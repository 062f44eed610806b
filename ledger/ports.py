"""What the ledger needs: a log that can be appended to and read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from did_agent.audit.nodes import Nodes, Run
from ledger.model import Accepted, Count, Entry, Erased, Erasure, Question, Row, Signed

Sign = Callable[[int, bytes], str]  # size and root to signed checkpoint
Told = Callable[[Erased], AuditEvent]  # what an erasure came to, to its record


class Log(Protocol):
    """An append-only log with one writer at a time."""

    async def append(self, events: Sequence[AuditEvent], *, sign: Sign, now: datetime) -> Accepted:
        """Append what is new, sign the state after it, all in one transaction.

        Raises: StoreUnavailable, BadEvent.
        """
        ...

    async def append_entries(self, entries: Sequence[Entry], *, sign: Sign, now: datetime) -> Accepted:
        """Do the same with events that were read already; an id the log has with other content is refused alone.

        Raises: StoreUnavailable, also when the log is not the one that was signed before.
        """
        ...

    async def erase(self, erasure: Erasure, *, told: Told, sign: Sign, now: datetime) -> Erased:
        """End the keys of personal fields, take those whom they name out of the indexes, and record that.

        Raises: StoreUnavailable.
        """
        ...

    async def is_any_sealed(self, erasure: Erasure) -> bool:
        """Tell whether an erasure would end anything."""
        ...

    async def rows(self, question: Question) -> Sequence[Row]:
        """Return the rows asked for, oldest first."""
        ...

    async def counts(self, since: str, until: str, organisation: str | None) -> Sequence[Count]:
        """Return what was decided in the hours from `since` to before `until`, of everybody or one organisation."""
        ...

    async def size(self) -> int:
        """Return how many rows there are."""
        ...

    async def nodes(self, runs: Sequence[Run]) -> Nodes:
        """Return kept nodes of the tree."""
        ...

    async def checkpoint(self, size: int | None = None) -> str | None:
        """Return the signed checkpoint over `size` rows, else the newest; None if there is none."""
        ...

    async def checkpoints(self, after: int, limit: int) -> Sequence[Signed]:
        """Return signed checkpoints over more than `after` rows, the smallest first."""
        ...

    def export(self, organisation: str | None = None) -> AsyncIterator[bytes]:
        """Yield the lines of the whole log, each checkpoint after the rows it covers; of others' rows the hashes."""
        ...
