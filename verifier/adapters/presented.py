"""Sessions in the guard's SQLite file: by digest, until they end, so many of one holder and in all."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Final

from did_agent.clock import Clock, numeric_date
from did_agent.credential.chain import MAX_CHAIN
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import Malformed, StoreUnavailable
from did_agent.tokens.confirmation import Confirmation, parse_confirmation
from verifier.model import PresentedSession

MAX_SESSIONS: Final = 10_000
MAX_OF_HOLDER: Final = 16
MAX_CONTENT: Final = 2 * MAX_CHAIN  # bytes of one session; JSON is written with more spaces than it was read with
_BUSY: Final = 5.0  # s a writer waits for another process

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS presented (id TEXT PRIMARY KEY, holder TEXT NOT NULL, expires INTEGER NOT NULL,
                                      content TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS presented_expires ON presented (expires);
CREATE INDEX IF NOT EXISTS presented_holder ON presented (holder, expires);
"""


class PresentedSessions:
    """Implements `verifier.ports.SessionStore`."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock,
        max_sessions: int = MAX_SESSIONS,
        max_of_holder: int = MAX_OF_HOLDER,
    ) -> None:
        self._clock, self._max_sessions, self._max_of_holder = clock, max_sessions, max_of_holder
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the sessions in {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    async def save(self, session: PresentedSession) -> None:
        """Keep a session until it ends.

        Raises: StoreUnavailable.
        """
        cnf = None if session.confirmation is None else session.confirmation.claim()
        content = json.dumps({"cnf": cnf, "credentials": session.credentials}, separators=(",", ":"))
        expires = numeric_date(session.expires)
        try:
            self._database.execute("DELETE FROM presented WHERE expires <= ?", (numeric_date(self._clock()),))
            self._database.execute(
                "INSERT INTO presented VALUES (?, ?, ?, ?)", (session.id, session.holder, expires, content)
            )
            self._drop("holder = ?", (session.holder,), self._max_of_holder)
            self._drop("1 = 1", (), self._max_sessions)
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def find(self, identifier: str) -> PresentedSession | None:
        """Return a session that has not ended.

        Raises: StoreUnavailable.
        """
        now = numeric_date(self._clock())
        try:
            row = self._database.execute(
                "SELECT holder, expires, content FROM presented WHERE id = ? AND expires > ?", (identifier, now)
            ).fetchone()
            if row is None:
                return None
            credentials, confirmation = _content(row[2])
        except (sqlite3.Error, Malformed) as error:
            raise StoreUnavailable(str(error)) from error
        return PresentedSession(
            id=identifier,
            holder=row[0],
            credentials=credentials,
            confirmation=confirmation,
            expires=from_numeric_date(row[1]),
        )

    def _drop(self, which: str, values: tuple[str, ...], most: int) -> None:
        """Drop what is over `most`, the first to end first."""
        self._database.execute(
            f"DELETE FROM presented WHERE id IN (SELECT id FROM presented WHERE {which} "  # noqa: S608 (our own words)
            "ORDER BY expires DESC, id LIMIT -1 OFFSET ?)",
            (*values, most),
        )


def _content(text: str) -> tuple[tuple[dict[str, object], ...], Confirmation | None]:
    members = parse_object(text, max_bytes=MAX_CONTENT)
    listed = members.get("credentials")
    credentials = tuple(one for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()
    return credentials, parse_confirmation(members.get("cnf"))
