"""What the bridge works with, as its readiness and its metrics show it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.adapters import tables
from bridge.migrations import SCHEMA
from bridge.service.keys import Keyring
from bridge.service.lookup import Lookup
from did_agent.adapters.metrics import READY
from did_agent.adapters.observing import Observer
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.readiness import OK, Part, Readiness, part
from did_agent.adapters.readiness_sql import Waiting, database_parts, outbox_parts, show_pool
from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust_list import PulledTrust
from did_agent.clock import Clock


def readiness(
    lookup: Lookup,
    *,
    engine: AsyncEngine,
    delivery: Delivery,
    ring: Keyring,
    trusted: PulledTrust,
    observer: Observer,
    clock: Clock,
) -> Readiness:
    """Return how the bridge is, and have it counted.

    Without the issuer's lists it refuses what it cannot find out about, and serves the rest.
    """
    statuses = lookup.statuses

    async def signing_key() -> str:
        ring.signer()
        return OK

    waiting = Waiting(engine, tables.outbox, clock)
    found = Readiness(
        parts=(
            *database_parts(engine, SCHEMA),
            Part(name="signing_key", look=signing_key),
            *outbox_parts(waiting, delivery),
            part("trust_list", lambda: trusted.text(clock()) is not None, "stale", needed=False),
            part(
                "status_lists", lambda: not isinstance(statuses, StatusLists) or statuses.is_fresh, "away", needed=False
            ),
        )
    )
    waiting.shown_by(observer.meter)
    show_pool(observer.meter, engine)
    observer.meter.read(READY, found.values)
    observer.readiness = found
    return found
