"""The outbox: audit events in the transaction of their effect, delivered to the ledger until it has them (AUD-01)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import httpx2
from sqlalchemy import BigInteger, Column, Integer, MetaData, Row, String, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.failpoints import reach
from did_agent.adapters.http import peer_client
from did_agent.adapters.observing import witnessed
from did_agent.adapters.sql import Prepared, insert_many, transaction
from did_agent.adapters.tracing import carried_by
from did_agent.audit.delivery import MAX_BATCH, batch_request, fitting
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.errors import Unavailable
from did_agent.keys.ed25519 import SigningKey

RETRY_FIRST: Final = 0.2  # s
RETRY_LAST: Final = 5.0  # s
GATHER: Final = 0.05  # s that events of the same moment are waited for, to travel together

_log: Final = logging.getLogger("did_agent.outbox")


def outbox_table(metadata: MetaData, prefix: str) -> Table:
    """Return the table of events of one party that the ledger has not confirmed yet."""
    return Table(
        f"{prefix}_outbox",
        metadata,
        # SQLite numbers rows by itself only under exactly this type.
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("id", String(64), nullable=False, unique=True),
        Column("event", Text, nullable=False),
    )


async def record(connection: AsyncConnection, table: Table, event: AuditEvent) -> None:
    """Write an event in the caller's transaction; if this fails, so does the effect."""
    await _insertion(table).run(connection, {"id": event.id, "event": witnessed(event).canonical().decode()})


async def record_all(connection: AsyncConnection, table: Table, events: Sequence[AuditEvent]) -> None:
    """Write many events in the caller's transaction; if this fails, so do their effects."""
    rows = [{"id": event.id, "event": witnessed(event).canonical().decode()} for event in events]
    await insert_many(connection, table, rows)


@cache
def _insertion(table: Table) -> Prepared:
    return Prepared(insert(table))


def new_event_id() -> str:
    """Return a fresh event id."""
    return uuid.uuid4().urn


class Delivery:
    """Carries a party's events to the ledger, in order, until the ledger has confirmed them."""

    def __init__(self, engine: AsyncEngine, table: Table, *, ledger_url: str, key: SigningKey, clock: Clock) -> None:
        self._engine, self._table, self._ledger_url = engine, table, ledger_url
        self._key, self._clock = key, clock
        self._wake = asyncio.Event()
        self.waits = False  # for a ledger, or a database, that is away

    def wake(self) -> None:
        """Say that there is something new."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever; a ledger or a database that is away is asked again, at most every few seconds."""
        wait = RETRY_FIRST
        async with peer_client() as http:
            while True:
                self._wake.clear()
                try:
                    await self._drain(http)
                except (Unavailable, httpx2.HTTPError) as error:
                    _log.warning("audit delivery waits: %s", type(error).__name__)
                    self.waits = True
                    wait = min(wait * 2, RETRY_LAST)
                    await asyncio.sleep(wait)  # whatever happens meanwhile: who is away is not asked more often
                    continue
                wait, self.waits = RETRY_FIRST, False
                with contextlib.suppress(TimeoutError):  # then whatever another process left behind
                    await asyncio.wait_for(self._wake.wait(), timeout=RETRY_LAST)
                    await asyncio.sleep(GATHER)

    async def flush(self) -> None:
        """Deliver what is waiting now.

        Raises: Unavailable, httpx2.HTTPError.
        """
        async with peer_client() as http:
            await self._drain(http)

    async def _drain(self, http: httpx2.AsyncClient) -> None:
        while rows := await self._next_rows():
            url, headers, body = batch_request(
                [str(row.event) for row in rows], ledger_url=self._ledger_url, key=self._key, now=self._clock()
            )
            reach("delivery.sending")
            response = await http.post(url, headers=headers | carried_by(str(row.event) for row in rows), content=body)
            if response.status_code != httpx2.codes.OK:
                raise Unavailable(f"the ledger answered {response.status_code}: {response.text[:200]}")
            if b'"refused"' in response.content:  # the ledger has kept a record of it; to send it again changes nothing
                _log.error("the ledger refused events whose ids it has with other content")
            reach("delivery.sent")
            async with transaction(self._engine) as connection:
                # By name, not by range: a lower number may have been committed in between.
                delivered = [row.seq for row in rows]
                await connection.execute(delete(self._table).where(self._table.c.seq.in_(delivered)))

    async def _next_rows(self) -> Sequence[Row[Any, Any]]:
        query = select(self._table.c.seq, self._table.c.event).order_by(self._table.c.seq).limit(MAX_BATCH)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return rows[: fitting([str(row.event) for row in rows])]
