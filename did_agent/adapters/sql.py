"""SQLite and PostgreSQL behind SQLAlchemy Core: engines, transactions, and values that are spent once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Insert,
    MetaData,
    Select,
    String,
    Table,
    Update,
    bindparam,
    cast,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, InvalidatePoolError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from did_agent.adapters import failpoints
from did_agent.adapters.sqlite_inline import driver_of, open_sqlite
from did_agent.clock import numeric_date
from did_agent.errors import DidAgentError, InvalidParameter, Misconfigured, StoreUnavailable

POOL: Final = 5  # connections a process keeps to PostgreSQL
IDLE: Final = 1.0  # s after which a connection is asked whether it still lives, before it is used
POOL_TIMEOUT: Final = 10  # s a request waits for one of them
CONNECT_TIMEOUT: Final = 5  # s until PostgreSQL must have answered
_USED: Final = "did_agent.used"  # when a connection was given back
_SCHEMA_LOCK: Final = 7_305_804_402_566_194_529  # any number, the same in every process of ours
_DIALECTS: Final = ("sqlite://", "postgresql+psycopg://")


def open_database(url: str) -> AsyncEngine:
    """Return an engine: SQLite in WAL mode that syncs every commit, or PostgreSQL.

    Raises: Misconfigured for any other database.
    """
    if not url.startswith(_DIALECTS):
        raise Misconfigured(f"DATABASE_URL must begin with {' or '.join(_DIALECTS)}")
    engine = _postgresql(url) if url.startswith("postgresql") else open_sqlite(make_url(url))
    failpoints.watch(engine)
    return engine


def _postgresql(url: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=POOL_TIMEOUT,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT},
    )

    def look(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        # SQLAlchemy would ask with every use whether a connection still lives, a tenth of a small transaction.
        used = record.info.get(_USED)
        if used is None or time.monotonic() - used < IDLE:
            return
        try:
            engine.sync_engine.dialect.do_ping(connection)
        except engine.sync_engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkout", look)
    event.listen(engine.sync_engine, "checkin", _note_use)
    return engine


def _note_use(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


async def create_schema(engine: AsyncEngine, metadata: MetaData) -> None:
    """Create the tables that are missing; existing ones are left alone (ADR 5).

    Raises: Misconfigured when the database cannot be reached.
    """
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Workers that start together would all find the tables missing and all but one would fail.
                await connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            await connection.run_sync(metadata.create_all)
    except (OperationalError, DBAPIError, OSError) as error:
        raise Misconfigured(f"the database cannot be opened: {type(error).__name__}") from error


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open one write transaction: all of it is durable when the block ends, or none of it happened.

    Raises: StoreUnavailable, InvalidParameter for a value that cannot be stored; errors of this project pass through.
    """
    try:
        async with engine.begin() as connection:
            yield connection
            committed = failpoints.committing(connection)
        failpoints.reach(committed)
    except DidAgentError:
        raise
    except DataError as error:
        # PostgreSQL takes no NUL and no text longer than its column: the sender's fault, and no use to try again.
        raise InvalidParameter("a value cannot be stored") from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}"[:200]) from error


async def insert_if_absent(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; True when it was inserted.

    What came back tells, not a row count: PostgreSQL's driver does not count an insert that returns keys.
    """
    statement = _insert_if_absent(table, tuple(values), connection.dialect.name)
    return bool(await statement.run(connection, values))


@cache
def _insert_if_absent(table: Table, _columns: tuple[str, ...], dialect: str) -> Prepared:
    added = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return Prepared(added.on_conflict_do_nothing().returning(*table.primary_key))


async def insert_new(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> frozenset[tuple[Any, ...]]:
    """Insert many rows at once, but for those of which a unique key is taken; return the primary keys of the new.

    The rows have the same columns; one that collides with another of them is left out like one that was there.
    """
    if not rows:
        return frozenset()
    if connection.dialect.name == "postgresql":
        done = await connection.execute(_unnested(table, tuple(rows[0])), _columns_of(rows))
    else:
        statement = sqlite.insert(table).on_conflict_do_nothing().returning(*table.primary_key)
        done = await connection.execute(statement, [dict(row) for row in rows])
    return frozenset(map(tuple, done.all()))


@cache
def _unnested(table: Table, names: tuple[str, ...]) -> Insert:
    """Return an insert that takes one array for each column: PostgreSQL reads it many times faster than many rows."""
    arrays = [cast(bindparam(f"all_{name}"), postgresql.ARRAY(table.c[name].type)) for name in names]
    values = func.unnest(*arrays).table_valued(*names).render_derived()
    added = postgresql.insert(table).from_select(names, select(*(values.c[name] for name in names)))
    return added.on_conflict_do_nothing().returning(*table.primary_key)


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {f"all_{name}": [row[name] for row in rows] for name in rows[0]}


async def insert_many(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows of the same columns, all of them new, the quickest way a database has for that.

    Raises: InvalidParameter, StoreUnavailable.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        await _insertion(table).run_each(connection, rows)
        return
    names = tuple(rows[0])
    statement = f"INSERT INTO {table.name}"  # the point is called so, whichever way the rows come in
    failpoints.writing(connection, statement)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    errors = connection.dialect.loaded_dbapi
    try:
        async with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
            await copy.write("".join(["\t".join([_copied(row[name]) for name in names]) + "\n" for row in rows]))
    except errors.DataError as error:
        raise InvalidParameter("a value cannot be stored") from error
    except errors.Error as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}"[:200]) from error
    failpoints.wrote(connection, statement)


def _copied(value: object) -> str:
    """Return a value as the text format of COPY has it."""
    if value.__class__ is str:
        text = str(value)
        if "\\" in text:
            text = text.replace("\\", "\\\\")
        if not text.isprintable():
            text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        return text
    if value is None:
        return "\\N"
    return f"\\\\x{value.hex()}" if isinstance(value, bytes) else str(value)


@cache
def _insertion(table: Table) -> Prepared:
    return Prepared(insert(table))


async def pass_gate(connection: AsyncConnection, gate: int) -> None:
    """Hold a gate open until the transaction ends: nobody closes it meanwhile, others pass beside us.

    Writers of SQLite come one after the other; there a gate is always ours.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock_shared(gate)))


async def close_gate(connection: AsyncConnection, gate: int) -> None:
    """Wait until all who passed a gate are done, and let nobody pass until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(gate)))


class Prepared:
    """A statement that runs with every request: on SQLite its text goes to the driver directly.

    Its values are texts and whole numbers, which need no conversion, and the same ones each time; what comes back are
    plain rows.
    """

    def __init__(self, statement: Select[Any] | Insert | Update) -> None:
        self._statement = statement
        self._text = ""
        self._names: tuple[str, ...] = ()

    async def run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Execute it and return its rows; for an insert that returns nothing, none."""
        if connection.dialect.name != "sqlite":
            result = await connection.execute(self._statement, dict(values))
            return result.all() if result.returns_rows else ()
        self._compile(connection, values)
        driver = driver_of(connection.sync_connection)
        failpoints.writing(connection, self._text)
        rows = driver.execute(self._text, [values[name] for name in self._names]).fetchall()
        failpoints.wrote(connection, self._text)
        return rows

    async def run_each(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once for each of at least one set of values."""
        if connection.dialect.name != "sqlite":
            await connection.execute(self._statement, [dict(row) for row in rows])
            return
        self._compile(connection, rows[0])
        driver = driver_of(connection.sync_connection)
        failpoints.writing(connection, self._text)
        driver.executemany(self._text, [[row[name] for name in self._names] for row in rows])
        failpoints.wrote(connection, self._text)

    def _compile(self, connection: AsyncConnection, values: Mapping[str, Any]) -> None:
        if not self._text:
            compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(values))
            self._text, self._names = compiled.string, tuple(compiled.positiontup or ())


def single_use_table(metadata: MetaData, prefix: str) -> Table:
    """Return the table of spent values of one party, typed by purpose."""
    return Table(
        f"{prefix}_single_use",
        metadata,
        Column("purpose", String(32), primary_key=True),
        Column("key", String(128), primary_key=True),
        Column("expires", BigInteger, nullable=False, index=True),
    )


async def spend(connection: AsyncConnection, table: Table, purpose: str, key: str, expires: datetime) -> bool:
    """Spend a value inside the caller's transaction; True the first time, False ever after."""
    row = {"purpose": purpose, "key": key, "expires": numeric_date(expires)}
    return await insert_if_absent(connection, table, row)


async def purge_spent(connection: AsyncConnection, table: Table, now: datetime) -> None:
    """Forget values that could not be shown any more."""
    await connection.execute(delete(table).where(table.c.expires < numeric_date(now)))
