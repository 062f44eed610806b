"""What the issuer works with, as its readiness and its metrics show it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.metrics import FEED_AGE, FLIPS, READY
from did_agent.adapters.observing import Observer
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.readiness import OK, Part, Readiness, feed_part
from did_agent.adapters.readiness_sql import Waiting, database_parts, outbox_parts, show_pool
from did_agent.adapters.schema import Schema
from issuer.adapters.sql import SQLStore, outbox
from issuer.model import HOME
from issuer.service.office import Office
from verifier.adapters.feed import STALENESS, RevocationFeed


def readiness(
    office: Office,
    *,
    engine: AsyncEngine,
    schema: Schema,
    store: SQLStore,
    delivery: Delivery,
    feed: RevocationFeed,
    observer: Observer,
) -> Readiness:
    """Return how the issuer is, and have it counted.

    Without its bridge nobody is admitted by token; what is public is served, and agents show presentations.
    """

    async def signing_key() -> str:
        office.ring.signer(HOME)  # signs credentials, and status lists whenever they are asked for
        return OK

    def age() -> float | None:
        return feed.age(office.clock())

    waiting = Waiting(engine, outbox, office.clock)
    found = Readiness(
        parts=(
            *database_parts(engine, schema),
            Part(name="signing_key", look=signing_key),
            *outbox_parts(waiting, delivery),
            feed_part(age, most=STALENESS.total_seconds(), needed=False),
        )
    )
    meter = observer.meter
    waiting.shown_by(meter)
    show_pool(meter, engine)
    meter.read(READY, found.values)
    meter.read(FLIPS, lambda: {(): float(store.flips)})
    meter.read(FEED_AGE, lambda: {} if (silent := age()) is None else {(): silent})
    observer.readiness = found
    return found
