"""Marks in a SQLite file, which several processes of one machine may share; opened when the first rule needs it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from did_agent.errors import StoreUnavailable
from did_agent.policy.descoping import Mark
from verifier.limits.model import microseconds
from verifier.marks import Before, Marked

BUSY: Final = 5.0  # s a writer waits for others
CLEARED: Final = 8  # rows that have ended, deleted with each claim: more than most make
_PAUSE: Final = 0.002  # s between two attempts to begin

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY, until INTEGER NOT NULL, by TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS marks_until ON marks (until);
"""
_CLEAR: Final = "DELETE FROM marks WHERE key IN (SELECT key FROM marks WHERE until <= ? ORDER BY until LIMIT ?)"


class SQLiteMarks:
    """Implements `verifier.ports.Marks` in one file."""

    def __init__(self, path: Path | str) -> None:
        self._path, self._database = path, None

    _database: sqlite3.Connection | None

    async def claim(self, looked: Sequence[str], marks: Sequence[Mark], *, now: datetime, by: str) -> Marked | str:
        """Make all marks unless one of `looked` stands; see `Marks`."""
        database, at = await self._begin(), microseconds(now)
        try:
            for key in looked:
                if database.execute("SELECT 1 FROM marks WHERE key = ? AND until > ?", (key, at)).fetchone():
                    database.execute("ROLLBACK")
                    return key
            before = [self._mark(database, mark, by) for mark in marks]
            if marks:
                database.execute(_CLEAR, (at, CLEARED))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up()
            raise StoreUnavailable(f"marks: {error}") from error
        return Marked(by=by, before=tuple(one for one in before if one is not None), now=now)

    async def release(self, marked: Marked) -> None:
        """Take marks back that nobody made again; see `Marks`."""
        database = await self._begin()
        try:
            for one in marked.before:
                ours = (one.key, marked.by)
                if one.until is None:
                    database.execute("DELETE FROM marks WHERE key = ? AND by = ?", ours)
                else:
                    values = (one.until, one.by, *ours)
                    database.execute("UPDATE marks SET until = ?, by = ? WHERE key = ? AND by = ?", values)
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up()
            raise StoreUnavailable(f"marks: {error}") from error

    async def close(self) -> None:
        """Close the file; the next claim opens it again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _mark(self, database: sqlite3.Connection, mark: Mark, by: str) -> Before | None:
        found = database.execute("SELECT until, by FROM marks WHERE key = ?", (mark.key,)).fetchone()
        until = microseconds(mark.until)
        if found is not None and found[0] >= until:
            return None  # it lasts longer already
        database.execute("REPLACE INTO marks VALUES (?, ?, ?)", (mark.key, until, by))
        return Before(key=mark.key, until=found[0] if found else None, by=found[1] if found else "")

    async def _begin(self) -> sqlite3.Connection:
        # Nothing is awaited between this and the end of the transaction, so one connection is enough for all.
        for _ in range(int(BUSY / _PAUSE)):
            try:
                database = self._database = self._database or _open(self._path)
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise StoreUnavailable(f"marks: {error}") from error
                await asyncio.sleep(_PAUSE)
            except (sqlite3.Error, OSError) as error:
                raise StoreUnavailable(f"the marks in {self._path} cannot be opened: {error}") from error
            else:
                return database
        raise StoreUnavailable(f"marks: others have been writing for {BUSY} s")

    def _give_up(self) -> None:
        if self._database is not None and self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _open(path: Path | str) -> sqlite3.Connection:
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.executescript(_SCHEMA)
    database.execute("PRAGMA busy_timeout=0")
    return database
