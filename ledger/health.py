"""What the ledger works with, as its readiness and its metrics show it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.metrics import FEED_AGE, LOG_SIZE, READY, TAKEN
from did_agent.adapters.observing import Observer, witnessed
from did_agent.adapters.readiness import OK, Part, Readiness, feed_part
from did_agent.adapters.readiness_sql import database_parts, show_pool
from did_agent.adapters.tracing import traces_in
from did_agent.audit.event import AuditEvent
from did_agent.errors import StoreUnavailable
from ledger.migrations import SCHEMA
from ledger.model import Accepted
from ledger.service import LedgerService
from verifier.adapters.feed import STALENESS, RevocationFeed


class Witnessed:
    """Takes in what the ledger itself decided, counted and with its trace."""

    def __init__(self, service: LedgerService) -> None:
        self._service = service

    async def record(self, event: AuditEvent) -> None:
        """Record an event.

        Raises: StoreUnavailable.
        """
        await self._service.record(witnessed(event))


class Health:
    """How the ledger is; without its bridge nobody reads, but parties deliver."""

    def __init__(
        self, service: LedgerService, *, engine: AsyncEngine, feed: RevocationFeed, observer: Observer
    ) -> None:
        self._service, self._feed = service, feed
        self._observer = observer
        self.size: int | None = None  # of the log, as it was at the last look
        self.readiness = Readiness(
            parts=(
                *database_parts(engine, SCHEMA),
                Part(name="log", look=self._log),
                feed_part(self._age, most=STALENESS.total_seconds(), needed=False),
            )
        )
        observer.readiness = self.readiness
        show_pool(observer.meter, engine)
        observer.meter.read(READY, self.readiness.values)
        observer.meter.read(LOG_SIZE, self._sizes)
        observer.meter.read(FEED_AGE, lambda: {} if (silent := self._age()) is None else {(): silent})

    async def ready(self) -> tuple[int, dict[str, object]]:
        """Return the status and the members of the answer to whoever watches over the ledger."""
        report = await self.readiness.report()
        return report.status, {**report.members(), "size": self.size}

    def taken(self, body: bytes, taken: Accepted) -> None:
        """Count what became of a delivery, and note in the traces of its events that they arrived."""
        for result, count in (
            ("accepted", taken.accepted),
            ("duplicate", taken.duplicates),
            ("refused", len(taken.refused)),
        ):
            self._observer.meter.add(TAKEN, result, by=count)
        if self._observer.is_tracing:
            for trace in traces_in(body):
                self._observer.add_span("audit.append", trace)

    def _age(self) -> float | None:
        return self._feed.age(self._service.clock())

    async def _log(self) -> str:
        """Look whether the newest checkpoint is one over the whole log, in our own name."""
        self.size = None
        size, note = await self._service.log.size(), await self._service.log.checkpoint()
        if size and note is None:
            raise StoreUnavailable("the log has no checkpoint")
        self.size = size
        return OK

    async def _sizes(self) -> Mapping[tuple[str, ...], float]:
        return {(): float(await self._service.log.size())}
