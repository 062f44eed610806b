"""A guard put together: what decides, what runs beside it for as long as it serves, and what is closed with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from did_agent.adapters.peer_certificate import NO_PROXIES, Proxies
from did_agent.adapters.readiness import Part
from did_agent.tokens.nonces import NonceRing
from verifier.adapters.feed import RevocationFeed
from verifier.adapters.spool import Spool
from verifier.pins import PinnedTools
from verifier.receipts import Receipts
from verifier.service import Verifier
from verifier.streams import OpenStreams
from verifier.swap import Swap

Work = Callable[[], Awaitable[None]]

AGAIN: Final = 1.0  # s before work that ended is begun again
_log: Final = logging.getLogger("did_agent.guard")


@dataclass(slots=True)
class GuardParts:
    """A verifier and what runs beside it."""

    verifier: Verifier
    spool: Spool
    background: Sequence[Work]  # each runs for ever
    feed: RevocationFeed | None = None
    proxies: Proxies = NO_PROXIES  # whose word on client certificates is taken
    streams: OpenStreams = field(default_factory=OpenStreams)  # cut when what stands behind them is revoked
    metrics_path: str | None = None  # where the counts are shown
    health: Sequence[Part] = ()  # what its readiness names
    probes: bool = True  # whether it answers itself whether it is alive and ready
    swap: Swap | None = None  # of JSON presentations for sessions
    nonces: NonceRing | None = None  # that DPoP proofs must carry
    issuers: tuple[str, ...] = ()  # beside the bridge
    closing: Sequence[Work] = ()  # let go of connections
    pinned: PinnedTools | None = None  # that operators approved
    receipts: Receipts | None = None
    refunds_failures: bool = False  # whether it matters that a call failed
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def feed_age(self) -> float | None:
        """Return how many seconds ago the revocation feed last answered; None before its first answer (REV-01)."""
        return None if self.feed is None else self.feed.age(self.verifier.clock())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the feed and the delivery running while the block runs."""
        await self.ensure_running()
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            for close in self.closing:
                await close()

    async def ensure_running(self) -> None:
        """Start what must run beside the guard, once; servers without lifespan events come here first."""
        if not self._tasks:
            self._tasks += [asyncio.create_task(_forever(work)) for work in self.background]


async def _forever(work: Work) -> None:
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  # a guard that hears nothing and delivers nothing must not look as if it did
            _log.exception("work beside the guard ended, and is begun again")
        await asyncio.sleep(AGAIN)
