"""Sessions in rows, on SQLite or PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

METADATA: Final = sa.MetaData()
sessions: Final = sa.Table(
    "console_sessions",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),  # s since 1970
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)


class SQLSessions:
    """Keeps what browsers are known by."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, key: str, sealed: bytes, *, expires: datetime, now: datetime, most: int) -> bool:
        """Keep a new row, drop ended ones; False when there are already `most`."""
        async with self._engine.begin() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.expires <= numeric_date(now)))
            count = await connection.scalar(sa.select(sa.func.count()).select_from(sessions))
            if (count or 0) >= most:
                return False
            row = {"key": key, "version": 1, "expires": numeric_date(expires), "sealed": sealed}
            await connection.execute(sa.insert(sessions).values(**row))
        return True

    async def find(self, key: str, *, now: datetime) -> tuple[int, datetime, bytes] | None:
        """Return version, end and content of a row that has not ended."""
        wanted = sa.select(sessions.c.version, sessions.c.expires, sessions.c.sealed).where(
            sessions.c.key == key, sessions.c.expires > numeric_date(now)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(wanted)).first()
        return None if row is None else (row.version, from_numeric_date(row.expires), bytes(row.sealed))

    async def replace(self, key: str, sealed: bytes, *, version: int, expires: datetime) -> bool:
        """Write a row again if it is still the version that was read."""
        change = (
            sa.update(sessions)
            .where(sessions.c.key == key, sessions.c.version == version)
            .values(sealed=sealed, version=version + 1, expires=numeric_date(expires))
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(change)).rowcount == 1

    async def remove(self, key: str) -> None:
        """Forget a row."""
        async with self._engine.begin() as connection:
            await connection.execute(sa.delete(sessions).where(sessions.c.key == key))
