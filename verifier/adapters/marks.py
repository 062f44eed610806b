"""Where marks are kept: beside the limits, by the URL of the same setting."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from did_agent.errors import Misconfigured
from verifier.adapters.limits import SQLITE, UNSAFE
from verifier.adapters.marks_sqlite import SQLiteMarks
from verifier.ports import Marks

_POSTGRES: Final = ("postgresql", "postgresql+psycopg", "postgres")


def open_marks(url: str | None, *, default: Path) -> Marks:
    """Return the store that `url`, which names one for limits too, names; None names the file `default`.

    Nothing is opened yet.  Raises: Misconfigured.
    """
    if url is None:
        return SQLiteMarks(default)
    if url.startswith(SQLITE):
        return SQLiteMarks(url.removeprefix(SQLITE))
    try:
        if urlsplit(url).scheme in _POSTGRES:
            from verifier.adapters.marks_postgres import PostgresMarks

            return PostgresMarks(url)
        from verifier.adapters.marks_valkey import ValkeyMarks

        return ValkeyMarks(url.removesuffix(UNSAFE), unsafe=url.endswith(UNSAFE))
    except ImportError as error:
        raise Misconfigured("limits_url needs a driver: pip install 'did-agent[postgres]' or [valkey]") from error
