"""Marks in PostgreSQL, for guards on several machines; the table is made when the first rule needs it.

Every claim locks the keys it looks at and those it marks, in one order, until its transaction ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import psycopg

from did_agent.errors import StoreUnavailable
from did_agent.policy.descoping import Mark
from verifier.limits.model import microseconds
from verifier.marks import Before, Marked

CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 3
_PATIENCE: Final = 5.0  # s a call waits for the connection
_LOCK: Final = 0x6469_6442  # any number of our own: one process at a time makes the table
_SPACE: Final = 7  # seed of the hashes that stand for keys in locks
CLEARED: Final = 8

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS did_agent_marks (key text PRIMARY KEY, until bigint NOT NULL, by text NOT NULL);
CREATE INDEX IF NOT EXISTS did_agent_marks_until ON did_agent_marks (until);
"""
_LOCK_KEYS: Final = """SELECT pg_advisory_xact_lock(name) FROM
(SELECT DISTINCT hashtextextended(key, %s) AS name FROM unnest(%s::text[]) AS key ORDER BY name) AS ordered"""
_LOOK: Final = "SELECT key FROM did_agent_marks WHERE key = ANY(%s::text[]) AND until > %s LIMIT 1"
_FIND: Final = "SELECT until, by FROM did_agent_marks WHERE key = %s"
_PUT: Final = """INSERT INTO did_agent_marks VALUES (%s, %s, %s)
ON CONFLICT (key) DO UPDATE SET until = EXCLUDED.until, by = EXCLUDED.by"""
_CLEAR: Final = """DELETE FROM did_agent_marks WHERE key IN
(SELECT key FROM did_agent_marks WHERE until <= %s ORDER BY until LIMIT %s FOR UPDATE SKIP LOCKED)"""

_Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresMarks:
    """Implements `verifier.ports.Marks` in a database, over one connection."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()

    async def claim(self, looked: Sequence[str], marks: Sequence[Mark], *, now: datetime, by: str) -> Marked | str:
        """Make all marks unless one of `looked` stands; see `Marks`."""
        at, keys = microseconds(now), [*looked, *(mark.key for mark in marks)]
        async with self._transaction() as connection:
            await connection.execute(_LOCK_KEYS, (_SPACE, keys))
            standing = await (await connection.execute(_LOOK, (list(looked), at))).fetchone()
            if standing is not None:
                return str(standing[0])
            before = [await _mark(connection, mark, by) for mark in marks]
            if marks:
                await connection.execute(_CLEAR, (at, CLEARED))
        return Marked(by=by, before=tuple(one for one in before if one is not None), now=now)

    async def release(self, marked: Marked) -> None:
        """Take marks back that nobody made again; see `Marks`."""
        async with self._transaction() as connection:
            for one in marked.before:
                ours = (one.key, marked.by)
                if one.until is None:
                    await connection.execute("DELETE FROM did_agent_marks WHERE key = %s AND by = %s", ours)
                else:
                    values = (one.until, one.by, *ours)
                    statement = "UPDATE did_agent_marks SET until = %s, by = %s WHERE key = %s AND by = %s"
                    await connection.execute(statement, values)

    async def close(self) -> None:
        """Close the connection; the next claim makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[_Connection]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("marks: the connection was not free") from error
        whole = False
        try:
            connection = self._connection = self._connection or await self._connect()
            async with connection.transaction():
                yield connection
            whole = True
        except psycopg.Error as error:
            raise StoreUnavailable(f"marks: {type(error).__name__}: {error}") from error
        finally:
            if not whole:
                await self.close()  # whatever it was, it may be dead
            self._turn.release()

    async def _connect(self) -> _Connection:
        options = f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c synchronous_commit=on"
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=options
        )
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                await connection.execute(_SCHEMA)
        except psycopg.Error:
            await connection.close()
            raise
        return connection


async def _mark(connection: _Connection, mark: Mark, by: str) -> Before | None:
    until = microseconds(mark.until)
    found = await (await connection.execute(_FIND, (mark.key,))).fetchone()
    if found is not None and found[0] >= until:
        return None  # it lasts longer already
    await connection.execute(_PUT, (mark.key, until, by))
    return Before(key=mark.key, until=found[0] if found else None, by=found[1] if found else "")
