"""What a database tells of itself: whether it answers, fits this release, and what waits in its outbox."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.metrics import LAG, POOL, WAITING, Labels, Meter
from did_agent.adapters.migrations import state_of
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.readiness import OK, Part, part
from did_agent.adapters.schema import Schema
from did_agent.adapters.sql import transaction
from did_agent.audit.event import parse_event
from did_agent.clock import Clock
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import StoreUnavailable

LATE: Final = 60.0  # s an event may wait for the ledger before its party says so
COUNTED: Final = 100_000  # events that are counted at most: more is more
_SCHEMA_KEPT: Final = 30.0  # s the schema is taken to be what it was


def database_parts(engine: AsyncEngine, schema: Schema) -> Sequence[Part]:
    """Return the parts that every party with a database has."""
    return (
        Part(name="database", look=_Database(engine).look),
        Part(name="schema", look=_Fits(engine, schema).look),
    )


def outbox_parts(waiting: Waiting, delivery: Delivery) -> Sequence[Part]:
    """Return the parts of the way to the ledger: a party works on without it, for what is recorded waits."""
    return (
        Part(name="outbox", look=waiting.look, needed=False),
        part("ledger", lambda: not delivery.waits, "away", needed=False),
    )


class _Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def look(self) -> str:
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(type(error).__name__) from error
        return OK


class _Fits:
    """Looks at the schema now and then: it changes when somebody takes it up."""

    def __init__(self, engine: AsyncEngine, schema: Schema) -> None:
        self._engine, self._schema = engine, schema
        self._until, self._said = 0.0, OK

    async def look(self) -> str:
        if time.monotonic() >= self._until:
            state = await state_of(self._engine, self._schema)
            self._said = OK if state.standing in ("current", "newer") else "wrong_schema"
            self._until = time.monotonic() + (_SCHEMA_KEPT if self._said == OK else 0.0)
        return self._said


class Waiting:
    """What waits in the outbox of one party."""

    def __init__(self, engine: AsyncEngine, table: Table, clock: Clock) -> None:
        self._engine, self._table, self._clock = engine, table, clock

    async def look(self) -> str:
        """Say whether the oldest event waits for too long."""
        return "late" if await self.lag() > LATE else OK

    async def lag(self) -> float:
        """Return how many seconds the oldest event has waited.

        Raises: StoreUnavailable.
        """
        query = select(self._table.c.event).order_by(self._table.c.seq).limit(1)
        async with transaction(self._engine) as connection:
            oldest = (await connection.execute(query)).scalar()
        if oldest is None:
            return 0.0
        return max(0.0, (self._clock() - parse_event(parse_object(oldest.encode())).time).total_seconds())

    async def count(self) -> int:
        """Return how many events wait, to `COUNTED`.

        Raises: StoreUnavailable.
        """
        some = select(self._table.c.seq).limit(COUNTED).subquery()
        async with transaction(self._engine) as connection:
            return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())

    def shown_by(self, meter: Meter) -> None:
        """Have both read as metrics."""

        async def count() -> Mapping[Labels, float]:
            return {(): float(await self.count())}

        async def lag() -> Mapping[Labels, float]:
            return {(): await self.lag()}

        meter.read(WAITING, count)
        meter.read(LAG, lag)


def show_pool(meter: Meter, engine: AsyncEngine) -> None:
    """Have the connections in use read as a metric, where there is a pool that counts them."""
    in_use = getattr(engine.pool, "checkedout", None)
    if in_use is not None:
        meter.read(POOL, lambda: {(): float(in_use())})
