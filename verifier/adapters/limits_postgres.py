"""Limits counted in PostgreSQL, for guards on several machines: one round trip, one synced transaction.

A function in the database does what `verifier.limits.counting` does.  Rows are locked in the order of the charges,
which is the same everywhere, so two calls never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg

from did_agent.errors import StoreUnavailable
from verifier.limits.counting import Verdict, worst
from verifier.limits.model import REFUNDABLE, Charge, Count, Refused, Spent

CONNECTIONS: Final = 4  # of one process
CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 3  # a spend that waits longer for others is refused
_PATIENCE: Final = 5.0  # s a call waits for a connection
_LOCK: Final = 0x6469_6441  # any number of our own: one process at a time makes the tables
_NEVER: Final = -1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS did_agent_counted (
  account text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, start bigint, used numeric(30) NOT NULL,
  seen bigint NOT NULL, expires bigint NOT NULL, PRIMARY KEY (account, kind)) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS did_agent_counted_expires ON did_agent_counted (expires);
CREATE TABLE IF NOT EXISTS did_agent_spends (id text PRIMARY KEY, expires bigint NOT NULL);
CREATE INDEX IF NOT EXISTS did_agent_spends_expires ON did_agent_spends (expires);

CREATE OR REPLACE FUNCTION did_agent_spend_v1(
  spend text, moment bigint, refundable bigint, accounts text[], kinds text[], caps numeric[], costs numeric[],
  windows bigint[], kept bigint[], OUT waits bigint[], OUT starts bigint[], OUT lefts numeric[]) AS $$
DECLARE
  standing did_agent_counted; at bigint; due bigint; room numeric; allowed boolean := true;
  useds numeric[]; seens bigint[];
BEGIN
  FOR i IN 1 .. cardinality(accounts) LOOP
    LOOP -- a row may be deleted between two looks, when it has ended
      SELECT * INTO standing FROM did_agent_counted c WHERE c.account = accounts[i] AND c.kind = kinds[i] FOR UPDATE;
      EXIT WHEN FOUND;
      INSERT INTO did_agent_counted VALUES (accounts[i], kinds[i], NULL, 0, 0, moment + kept[i])
        ON CONFLICT DO NOTHING;
    END LOOP;
    at := greatest(moment, standing.seen);
    seens[i] := at; waits[i] := 0; lefts[i] := 0;
    IF kinds[i] = 'rate' THEN
      due := greatest(at, coalesce(standing.start, at));
      starts[i] := due + costs[i]::bigint; useds[i] := 0;
      waits[i] := greatest(0, due - at - caps[i]::bigint);
    ELSE
      IF standing.start IS NOT NULL AND (windows[i] IS NULL OR at < standing.start + windows[i]) THEN
        starts[i] := standing.start; useds[i] := standing.used;
      ELSE
        starts[i] := at; useds[i] := 0;
      END IF;
      lefts[i] := greatest(0, caps[i] - useds[i]);
      IF costs[i] > lefts[i] THEN
        waits[i] := CASE WHEN windows[i] IS NULL OR costs[i] > caps[i] THEN -1 ELSE starts[i] + windows[i] - at END;
      END IF;
      useds[i] := useds[i] + costs[i];
    END IF;
    allowed := allowed AND waits[i] = 0;
  END LOOP;
  IF NOT allowed THEN
    RETURN;
  END IF;
  INSERT INTO did_agent_spends VALUES (spend, moment + refundable);
  FOR i IN 1 .. cardinality(accounts) LOOP
    UPDATE did_agent_counted c SET start = starts[i], used = useds[i], seen = seens[i],
        expires = (seens[i] + kept[i]) / 3600000000 * 3600000000 + 3600000000
      WHERE c.account = accounts[i] AND c.kind = kinds[i];
  END LOOP;
  DELETE FROM did_agent_counted c WHERE (c.account, c.kind) IN (
    SELECT o.account, o.kind FROM did_agent_counted o WHERE o.expires < moment
    ORDER BY o.expires LIMIT 8 FOR UPDATE SKIP LOCKED);
  DELETE FROM did_agent_spends s WHERE s.id IN (
    SELECT o.id FROM did_agent_spends o WHERE o.expires < moment ORDER BY o.expires LIMIT 8 FOR UPDATE SKIP LOCKED);
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION did_agent_refund_v1(
  spend text, accounts text[], kinds text[], costs numeric[], starts bigint[]) RETURNS void AS $$
BEGIN
  DELETE FROM did_agent_spends WHERE id = spend;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  FOR i IN 1 .. cardinality(accounts) LOOP
    IF kinds[i] = 'rate' THEN
      UPDATE did_agent_counted c SET start = c.start - costs[i]::bigint
        WHERE c.account = accounts[i] AND c.kind = kinds[i];
    ELSE
      UPDATE did_agent_counted c SET used = greatest(0, c.used - costs[i])
        WHERE c.account = accounts[i] AND c.kind = kinds[i] AND c.start = starts[i];
    END IF;
  END LOOP;
END $$ LANGUAGE plpgsql;
"""
# Made last, in one transaction with the rest.  The catalogue itself is read: `to_regproc` may remember an older answer.
_IS_THERE: Final = """SELECT EXISTS (SELECT FROM pg_proc
WHERE proname = 'did_agent_refund_v1' AND pg_function_is_visible(oid))"""
_SPEND: Final = (
    "SELECT waits, starts, lefts FROM did_agent_spend_v1(%s, %s, %s, %s::text[], %s::text[], %s::numeric[],"
    " %s::numeric[], %s::bigint[], %s::bigint[])"
)
_REFUND: Final = "SELECT did_agent_refund_v1(%s, %s::text[], %s::text[], %s::numeric[], %s::bigint[])"

_Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresLimits:
    """A `LimitCounter` in a database; tables and functions are made at first use, where they are not there yet."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._ready = False

    async def spend(self, charges: Sequence[Charge], now: int, spend_id: str) -> Spent | Refused:
        """Make all charges, or none; see `LimitCounter`."""
        made = tuple(charges)
        async with self._connection() as connection:
            cursor = await connection.execute(
                _SPEND,
                (
                    spend_id,
                    now,
                    REFUNDABLE,
                    [one.account for one in made],
                    [one.kind for one in made],
                    [one.cap for one in made],
                    [one.cost for one in made],
                    [one.window for one in made],
                    [one.kept for one in made],
                ),
                prepare=True,
            )
            row = await cursor.fetchone()
        if row is None:
            raise StoreUnavailable("limits: the database gave no answer")
        refusal = worst(made, [_verdict(wait, int(left)) for wait, left in zip(row[0], row[2], strict=True)])
        return refusal or Spent(id=spend_id, charges=made, starts=tuple(row[1]))

    async def refund(self, spent: Spent) -> None:
        """Take a spend back, once; see `LimitCounter`."""
        async with self._connection() as connection:
            await connection.execute(
                _REFUND,
                (
                    spent.id,
                    [one.account for one in spent.charges],
                    [one.kind for one in spent.charges],
                    [one.cost for one in spent.charges],
                    list(spent.starts),
                ),
                prepare=True,
            )

    async def close(self) -> None:
        """Close all connections that nobody uses."""
        while self._idle:
            await self._idle.pop().close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """Lend a connection; one that failed, or whose call was given up, is never lent again."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._room.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("limits: no connection was free") from error
        connection = None
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            yield connection
            self._idle.append(connection)
            connection = None
        except psycopg.Error as error:
            # Where the server went away, the other connections are dead too.
            await self.close()
            raise StoreUnavailable(f"limits: {type(error).__name__}: {error}") from error
        finally:
            self._room.release()
            if connection is not None:
                await connection.close()

    async def _connect(self) -> _Connection:
        timeout = f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c synchronous_commit=on"
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=timeout
        )
        if not self._ready:
            try:
                await _prepare(connection)
            except psycopg.Error:
                await connection.close()
                raise
            self._ready = True
        return connection


async def _prepare(connection: _Connection) -> None:
    if await _is_there(connection):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        # Looked at again: where another process made them meanwhile, it counts already, and making them locks tables.
        if not await _is_there(connection):
            await connection.execute(_SCHEMA)


async def _is_there(connection: _Connection) -> bool:
    return await (await connection.execute(_IS_THERE)).fetchone() == (True,)


def _verdict(wait: int, left: int) -> Verdict:
    after = Count(start=0, used=0, seen=0)  # the database keeps it
    return Verdict(allowed=wait == 0, after=after, wait=None if wait == _NEVER else wait, left=left)
