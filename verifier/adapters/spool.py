"""What a guard remembers durably: spent presentations in SQLite, and a journal of what the ledger does not have yet.

The standard library's driver keeps the guard free of a database toolkit.  A write is a commit that has been synced;
events that are recorded in the same turn of the loop share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.adapters.observing import witnessed
from did_agent.adapters.tracing import carried_by
from did_agent.audit.delivery import MAX_BATCH, batch_request, fitting
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock, numeric_date
from did_agent.errors import AuditUnavailable, StoreUnavailable, Unavailable
from did_agent.keys.ed25519 import SigningKey
from verifier.adapters.journal import Journal

MAX_WAITING: Final = 100_000  # events kept while the ledger is away; then only tools that read are let through
RESERVE: Final = 10  # the part of that which is kept beyond for those; then nothing is
RETRY_FIRST: Final = 0.2  # s
RETRY_LAST: Final = 5.0  # s
GATHER: Final = 0.2  # s that events of the same moment are waited for, to travel together
SWEEP: Final = 10  # s between two deletions of spent values that have ended
LOOK: Final = 30.0  # s between looks for events that another process of this guard left behind
_BUSY: Final = 5.0  # s a writer waits for another process

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spent (purpose TEXT NOT NULL, key TEXT NOT NULL, expires INTEGER NOT NULL,
                                  PRIMARY KEY (purpose, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spent_expires ON spent (expires);
"""
_log: Final = logging.getLogger("did_agent.spool")


class Spool:
    """Durable memory of a guard; implements `SpendOnce` and `AuditSink`."""

    def __init__(self, path: Path | str, *, clock: Clock, max_waiting: int = MAX_WAITING) -> None:
        self._clock = clock
        self._pressed, self._full = max_waiting, max_waiting + max_waiting // RESERVE
        self._recording: list[tuple[bytes, asyncio.Future[None]]] = []  # in this turn of the loop
        self._wake = asyncio.Event()
        self.waits = False  # for a ledger that is away
        self._sweep_at = 0
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            self._journal = Journal(Path(path).with_suffix(".journal"))
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the spool {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the files; nothing that was acknowledged is lost."""
        self._database.close()
        self._journal.close()

    def is_pressed(self) -> bool:
        """Whether the room left is for what only reads."""
        return self.waiting >= self._pressed

    @property
    def waiting(self) -> int:
        """How many events the ledger does not have yet."""
        return self._journal.waiting + len(self._recording)

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend `key`; True the first time, False ever after.

        Raises: StoreUnavailable.
        """
        try:
            now = numeric_date(self._clock())
            if now >= self._sweep_at:  # not each time: it is a commit of its own
                self._database.execute("DELETE FROM spent WHERE expires < ?", (now,))
                self._sweep_at = now + SWEEP
            cursor = self._database.execute(
                "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (purpose, key, numeric_date(expires) + 1)
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error
        return cursor.rowcount == 1

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is on disk.

        Raises: AuditUnavailable when the spool is full or cannot be written: what is not recorded does not happen.
        """
        if self.waiting >= self._full:
            raise AuditUnavailable(f"{self.waiting} events wait for the ledger")
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        text = witnessed(event).canonical()
        if not self._recording:
            loop.call_soon(self._write)  # once everybody who is ready now has come this far
        self._recording.append((text, written))
        await written

    def _write(self) -> None:
        recording, self._recording = self._recording, []
        try:
            self._journal.append([text for text, _ in recording])
        except OSError as error:
            for _, written in recording:
                if not written.done():
                    written.set_exception(AuditUnavailable(str(error)))
            return
        for _, written in recording:
            if not written.done():  # who has gone meanwhile is on record all the same
                written.set_result(None)
        self._wake.set()

    async def deliver(self, ledger_url: str, key: SigningKey) -> None:
        """Carry events to the ledger for ever, in order, until it has confirmed them."""
        pause = RETRY_FIRST
        async with peer_client() as http:
            while True:
                self._wake.clear()
                try:
                    await self.flush(http, ledger_url, key)
                except (Unavailable, httpx2.HTTPError, OSError) as error:
                    _log.warning("audit delivery waits: %s", type(error).__name__)
                    self.waits = True
                    pause = min(pause * 2, RETRY_LAST)
                    await asyncio.sleep(pause)  # whatever happens meanwhile: who is away is not asked more often
                    continue
                pause, self.waits = RETRY_FIRST, False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._wake.wait()
                self._journal.adopt()
                await asyncio.sleep(GATHER)

    async def flush(self, http: httpx2.AsyncClient, ledger_url: str, key: SigningKey) -> None:
        """Deliver what is waiting now.

        Raises: Unavailable, httpx2.HTTPError, OSError.
        """
        while texts := self._journal.oldest(MAX_BATCH):
            # What does not fit one body waits for the next, or the ledger would refuse it for ever.
            events = [text.decode() for text in texts]
            count = fitting(events)
            url, headers, body = batch_request(events[:count], ledger_url=ledger_url, key=key, now=self._clock())
            response = await http.post(url, headers=headers | carried_by(events[:count]), content=body)
            if response.status_code != httpx2.codes.OK:
                raise Unavailable(f"the ledger answered {response.status_code}")
            self._journal.deliver(texts[:count])
