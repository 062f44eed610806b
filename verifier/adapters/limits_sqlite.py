"""Limits counted in an SQLite file, which several processes of one machine may share; a spend is a commit on disk.

Statements run where they are awaited, as in the spool (ADR 10); what may last is the wait for another process.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from did_agent.errors import StoreUnavailable
from verifier.limits.counting import count, refunded, worst
from verifier.limits.model import REFUNDABLE, Charge, Count, Refused, Spent, row_end

BUSY: Final = 5.0  # s a writer waits for others
CLEARED: Final = 8  # rows that have ended, deleted with each spend: more than it makes
_PAUSE: Final = 0.002  # s between two attempts to begin

# Amounts are text: billionths may have more digits than the integers of SQLite.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counted (account TEXT NOT NULL, kind TEXT NOT NULL, start INTEGER NOT NULL,
                                    used TEXT NOT NULL, seen INTEGER NOT NULL, expires INTEGER NOT NULL,
                                    PRIMARY KEY (account, kind)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counted_expires ON counted (expires);
CREATE TABLE IF NOT EXISTS spends (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spends_expires ON spends (expires);
"""
_READ: Final = "SELECT start, used, seen FROM counted WHERE account = ? AND kind = ?"
_WRITE: Final = "REPLACE INTO counted VALUES (?, ?, ?, ?, ?, ?)"
_CLEAR: Final = """DELETE FROM counted WHERE (account, kind) IN
(SELECT account, kind FROM counted WHERE expires < ? ORDER BY expires LIMIT ?)"""
_CLEAR_SPENDS: Final = """DELETE FROM spends WHERE id IN
(SELECT id FROM spends WHERE expires < ? ORDER BY expires LIMIT ?)"""


class SQLiteLimits:
    """A `LimitCounter` in one file."""

    def __init__(self, path: Path | str) -> None:
        """Open the file.

        Raises: StoreUnavailable.
        """
        self._path = path
        self._database: sqlite3.Connection = _open(path)
        self._is_open = True

    async def spend(self, charges: Sequence[Charge], now: int, spend_id: str) -> Spent | Refused:
        """Make all charges, or none; see `LimitCounter`."""
        await self._begin()
        try:
            outcome = self._spend(tuple(charges), now, spend_id)
            self._database.execute("COMMIT" if isinstance(outcome, Spent) else "ROLLBACK")
        except sqlite3.Error as error:
            self._give_up()
            raise StoreUnavailable(f"limits: {error}") from error
        return outcome

    async def refund(self, spent: Spent) -> None:
        """Take a spend back, once; see `LimitCounter`."""
        await self._begin()
        try:
            if self._database.execute("DELETE FROM spends WHERE id = ?", (spent.id,)).rowcount == 1:
                for charge, start in zip(spent.charges, spent.starts, strict=True):
                    found = self._read(charge)
                    if found is not None:
                        self._write(charge, refunded(found, charge, start))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up()
            raise StoreUnavailable(f"limits: {error}") from error

    async def close(self) -> None:
        """Close the file; the next spend opens it again."""
        self._database.close()
        self._is_open = False

    async def _begin(self) -> None:
        # Nothing is awaited between this and the end of the transaction, so one connection is enough for all.
        if not self._is_open:
            self._database, self._is_open = _open(self._path), True
        for _ in range(int(BUSY / _PAUSE)):
            try:
                self._database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise StoreUnavailable(f"limits: {error}") from error
                await asyncio.sleep(_PAUSE)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"limits: {error}") from error
            else:
                return
        raise StoreUnavailable(f"limits: others have been writing for {BUSY} s")

    def _spend(self, charges: tuple[Charge, ...], now: int, spend_id: str) -> Spent | Refused:
        verdicts = [count(self._read(charge), charge, now) for charge in charges]
        refusal = worst(charges, verdicts)
        if refusal is not None:
            return refusal
        self._database.execute("INSERT INTO spends VALUES (?, ?)", (spend_id, now + REFUNDABLE))
        for charge, verdict in zip(charges, verdicts, strict=True):
            self._write(charge, verdict.after)
        for statement in (_CLEAR, _CLEAR_SPENDS):
            self._database.execute(statement, (now, CLEARED))
        return Spent(id=spend_id, charges=charges, starts=tuple(verdict.after.start for verdict in verdicts))

    def _read(self, charge: Charge) -> Count | None:
        row = self._database.execute(_READ, (charge.account, charge.kind)).fetchone()
        return None if row is None else Count(start=row[0], used=int(row[1]), seen=row[2])

    def _write(self, charge: Charge, found: Count) -> None:
        end = row_end(charge, found.seen)
        self._database.execute(_WRITE, (charge.account, charge.kind, found.start, str(found.used), found.seen, end))

    def _give_up(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _open(path: Path | str) -> sqlite3.Connection:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(_SCHEMA)
        database.execute("PRAGMA busy_timeout=0")
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"the limits in {path} cannot be opened: {error}") from error
    return database
