"""The ledger's use cases: take events in, show them, prove them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.merkle import root_by
from did_agent.audit.nodes import Nodes, Span, consistency_spans, inclusion_spans, roots_of, runs_for
from did_agent.clock import Clock
from did_agent.errors import NotFound, StoreUnavailable, TooManyPending
from did_agent.keys.ed25519 import SigningKey
from ledger.intake import conflict, read_batch
from ledger.model import Accepted, Erased, Erasure, Question
from ledger.ports import Log, Told

MAX_WAITING: Final = 64  # deliveries that wait for their turn; one more is told to come back later


class Queue:
    """Counts the deliveries that wait for the one place at the end of the log."""

    __slots__ = ("_most", "_waiting")

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most, self._waiting = most, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place.

        Raises: TooManyPending when there is none.
        """
        if self._waiting >= self._most:
            raise TooManyPending("the ledger is behind; deliver again later")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerService:
    """Keeps one log under one key."""

    log: Log
    key: SigningKey
    url: str  # the ledger's own identifier
    origin: str  # names the log in its checkpoints
    sources: frozenset[str]  # DIDs of the parties that may write
    clock: Clock
    queue: Queue = field(default_factory=Queue)

    async def take(self, token: str, body: bytes) -> Accepted:
        """Take a delivery in; what is acknowledged is durable and covered by a checkpoint.

        Raises: VerificationError, Malformed, TooManyPending, StoreUnavailable.
        """
        now = self.clock()
        with self.queue.place():
            entries = read_batch(token, body, ledger_url=self.url, sources=self.sources, now=now)
            taken = await self.log.append_entries(entries, sign=self._sign, now=now)
            if taken.refused:
                changed = [entry for entry in entries if entry.id in taken.refused]
                conflicts = [conflict(entry, key=self.key, url=self.url, now=now) for entry in changed]
                await self.log.append(conflicts, sign=self._sign, now=now)
            return taken

    async def record(self, event: AuditEvent) -> None:
        """Take in an event of the ledger itself: refused readings are decisions too.

        Raises: StoreUnavailable.
        """
        await self.log.append([event], sign=self._sign, now=self.clock())

    async def erase(self, erasure: Erasure, told: Told) -> Erased:
        """End personal fields and record it; proofs hold as before.

        Raises: StoreUnavailable.
        """
        return await self.log.erase(erasure, told=told, sign=self._sign, now=self.clock())

    async def find(self, identifier: str, *, organisation: str | None = None) -> int:
        """Return the row of an event; another organisation's is none.

        Raises: NotFound.
        """
        found = await self.log.rows(Question(id=identifier, limit=1, organisation=organisation))
        if not found:
            raise NotFound("there is no such event")
        return found[0].seq

    async def require_own(self, seq: int, organisation: str) -> None:
        """Return if a row is of an organisation.

        Raises: NotFound.
        """
        found = await self.log.rows(Question(after=seq - 1, limit=1, organisation=organisation))
        if not found or found[0].seq != seq:
            raise NotFound(f"there is no row {seq}")

    async def prove_inclusion(self, seq: int, size: int | None = None) -> tuple[int, bytes, Sequence[bytes]]:
        """Return size, root and path that show row `seq` in the log of `size` rows, by default that of now.

        Raises: NotFound.
        """
        newest = await self.log.size()
        size = newest if size is None else size
        if not 0 < seq <= size <= newest:
            raise NotFound(f"there is no row {seq}")
        spans = inclusion_spans(seq - 1, size)
        own = Span(seq - 1, seq)
        nodes = await self.log.nodes(runs_for([own, *spans]))
        leaf, *path = _roots([own, *spans], nodes)
        root = root_by(leaf, seq - 1, size, path)
        if root is None:
            raise StoreUnavailable("the nodes of the log do not fit")
        return size, root, path

    async def prove_consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return what shows that the log of `new` rows extends that of `old`.

        Raises: NotFound.
        """
        if not 0 < old <= new <= await self.log.size():
            raise NotFound("there is no such pair of states")
        spans = consistency_spans(old, new)
        return _roots(spans, await self.log.nodes(runs_for(spans)))

    def _sign(self, size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(origin=self.origin, size=size, root=root), self.key)


def _roots(spans: Sequence[Span], nodes: Nodes) -> list[bytes]:
    try:
        return roots_of(spans, nodes)
    except KeyError as error:
        raise StoreUnavailable("nodes of the log are missing") from error
