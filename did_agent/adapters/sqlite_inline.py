"""SQLite for asyncio without a thread: statements run where they are awaited.

A statement of ours takes microseconds, a hop to a thread and back ten times that.  What may last is the wait for
another process that writes: it is slept through, so that the loop goes on (`begin_writing`).  One connection serves a
process, so that its transactions queue up in order of arrival instead of colliding (ADR 10).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_only

BUSY_TIMEOUT: Final = 10.0  # s a writer waits for another process
_PAUSE: Final = 0.002  # s between two attempts to begin
_CONFIGURATION: Final = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=0")


class _Cursor(sqlite3.Cursor):
    async def _async_soft_close(self) -> None:
        """Do nothing: SQLAlchemy asks it of asynchronous drivers, to let go of a connection while rows are read."""


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Callable[[sqlite3.Connection], sqlite3.Cursor] | None = None) -> Any:
        return super().cursor(factory or _Cursor)


async def _nothing() -> None:
    """Be awaited: SQLAlchemy takes a driver that never awaits for one that blocks by mistake."""


class InlineSQLite(SQLiteDialect_pysqlite):
    """The dialect `sqlite+inline`: the driver of the standard library, offered to SQLAlchemy's asyncio extension."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, _context: Any = None) -> None:
        """Execute a statement."""
        await_only(_nothing())
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, _context: Any = None) -> None:
        """Execute a statement once for each set of parameters."""
        await_only(_nothing())
        cursor.executemany(statement, parameters)

    @classmethod
    def get_pool_class(cls, _url: URL) -> type[Pool]:
        """Return the pool whose waiters are coroutines."""
        return AsyncAdaptedQueuePool


def open_sqlite(url: URL) -> AsyncEngine:
    """Return an engine over one connection in WAL mode that syncs every commit."""
    engine = create_async_engine(
        url.set(drivername="sqlite+inline"),
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT,
        connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None, "factory": _Connection},
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", begin_writing)
    return engine


def begin_writing(connection: Connection) -> None:
    """Begin a transaction as a writer from the start; sleep while another process writes."""
    driver = driver_of(connection)
    for _ in range(int(BUSY_TIMEOUT / _PAUSE)):
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                break
            await_only(asyncio.sleep(_PAUSE))
        else:
            return
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, so that the failure is SQLAlchemy's


def driver_of(connection: Connection | None) -> sqlite3.Connection:
    """Return the driver's connection behind one that is open."""
    driver = None if connection is None else connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101  # as `open_sqlite` made it
    return driver


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _CONFIGURATION:
        connection.execute(f"PRAGMA {pragma}").close()


registry.register("sqlite.inline", __name__, InlineSQLite.__name__)
