"""Where marks are kept: beside the limits, by the URL of the same setting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from did_agent.errors import Misconfigured, StoreUnavailable
from did_agent.policy.descoping import Mark
from verifier.adapters.limits import SQLITE
from verifier.adapters.marks_sqlite import SQLiteMarks
from verifier.marks import Marked
from verifier.ports import Marks

_POSTGRES: Final = ("postgresql", "postgresql+psycopg", "postgres")


class NoMarks:
    """Stands where calls cannot be marked: a rule that watches them refuses them all, and what it removes."""

    async def claim(self, _looked: Sequence[str], _marks: Sequence[Mark], *, now: datetime, by: str) -> Marked | str:
        """Refuse.

        Raises: StoreUnavailable.
        """
        del now, by
        raise StoreUnavailable("rules that watch calls need limits_url in SQLite or PostgreSQL")

    async def release(self, _marked: Marked) -> None:
        """Nothing was marked."""

    async def close(self) -> None:
        """Nothing is open."""


def open_marks(url: str | None, *, default: Path) -> Marks:
    """Return the store that `url` names; None names the file `default`.  Nothing is opened yet.

    Raises: Misconfigured.
    """
    if url is None:
        return SQLiteMarks(default)
    if url.startswith(SQLITE):
        return SQLiteMarks(url.removeprefix(SQLITE))
    if urlsplit(url).scheme not in _POSTGRES:
        return NoMarks()
    try:
        from verifier.adapters.marks_postgres import PostgresMarks
    except ImportError as error:
        raise Misconfigured("limits_url needs a driver: pip install 'did-agent[postgres]'") from error
    return PostgresMarks(url)
