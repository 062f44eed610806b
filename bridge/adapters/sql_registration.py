"""Self-registered clients in the bridge's database, and the counters that bound them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Integer, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.adapters.rows import Rows, digest_of
from bridge.adapters.sql_clients import clients
from bridge.adapters.tables import NAME, _key, _text, _time, metadata
from bridge.model.registration import UNUSED, Registration
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

USE_STEP: Final = 86_400  # s between notes of a client's use: a day is fine enough for a month

registrations: Final = Table(
    "bridge_registrations",
    metadata,
    _key("client_id", NAME),
    _text("token_digest"),
    _time("registered"),
    _time("used"),
)
counters: Final = Table(
    "bridge_counters", metadata, _key("key"), Column("n", Integer, nullable=False), _time("expires")
)


class RegistrationRows(Rows):
    """Implements `bridge.ports.registration.Registrations`."""

    async def add_registration(self, registration: Registration) -> None:
        at = numeric_date(registration.registered)
        values: dict[str, Any] = {"token_digest": registration.token_digest, "registered": at, "used": at}
        await self._do.execute(insert(registrations).values(client_id=registration.client_id, **values))

    async def registration(self, client_id: str) -> Registration | None:
        rows = await self._rows(registrations, registrations.c.client_id == client_id)
        if not rows:
            return None
        return Registration(
            client_id=client_id,
            token_digest=rows[0]["token_digest"],
            registered=from_numeric_date(rows[0]["registered"]),
        )

    async def delete_registration(self, client_id: str) -> None:
        await self._do.execute(delete(registrations).where(registrations.c.client_id == client_id))

    async def note_use(self, client_id: str, *, now: datetime) -> None:
        at, table = numeric_date(now), registrations
        long_ago = (table.c.client_id == client_id) & (table.c.used < at - USE_STEP)
        await self._do.execute(update(table).where(long_ago).values(used=at))

    async def count(self, key: str, *, limit: int, expires: datetime) -> bool:
        row = {"key": digest_of(key), "n": 0, "expires": numeric_date(expires)}
        await sql.insert_if_absent(self._do, counters, row)
        more = update(counters).where(counters.c.key == row["key"], counters.c.n < limit).values(n=counters.c.n + 1)
        return bool((await self._do.execute(more)).rowcount)


async def forget_unused(connection: AsyncConnection, now: datetime) -> None:
    """Delete clients that registered themselves and got no token for long (OAU-12)."""
    unused = registrations.c.used < numeric_date(now - UNUSED)
    named = select(registrations.c.client_id).where(unused)
    await connection.execute(delete(clients).where(clients.c.id.in_(named)))
    await connection.execute(delete(registrations).where(unused))
