"""Databases out of and into a backup: SQLite by its online copy, PostgreSQL by COPY of one snapshot."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import column, delete, func, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.backup import Writer
from did_agent.adapters.migrations import downgrade, state_of, upgrade
from did_agent.adapters.schema import BASE, Schema
from did_agent.errors import InvalidParameter, Misconfigured, StoreUnavailable

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
_BLOCK: Final = 1_048_576  # bytes
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One party's database, open."""

    schema: Schema
    engine: AsyncEngine

    @property
    def file(self) -> Path | None:
        """The file of it; None for a server."""
        name = self.engine.url.database
        return Path(name) if self.engine.dialect.name == SQLITE and name else None


async def save(kept: Kept, writer: Writer, scratch: Path) -> Mapping[str, Any]:
    """Put a database into a backup and return what the manifest says of it.

    Raises: Misconfigured for one that holds nothing of this party, StoreUnavailable.
    """
    state = await state_of(kept.engine, kept.schema)
    if state.standing in ("empty", "unversioned"):
        raise Misconfigured(f"{kept.schema.party}: there is no database of this party at its URL")
    said: dict[str, Any] = {
        "party": kept.schema.party,
        "dialect": kept.engine.dialect.name,
        "revision": state.revision,
    }
    if kept.file is not None:
        name = f"{kept.schema.party}.db"
        copy_sqlite(kept.file, scratch / name)
        writer.add(name, scratch / name)
        (scratch / name).unlink()
        return {**said, "member": name}
    return {**said, "tables": await _save_tables(kept, writer, scratch)}


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others write to it.

    Raises: StoreUnavailable.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=10)) as opened,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            opened.backup(copy, pages=-1)  # in one step: one that is changed between two steps begins again
            copy.execute("PRAGMA journal_mode=DELETE")
            said = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source.name} cannot be copied: {error}") from error
    if said != "ok":
        raise StoreUnavailable(f"the copy of {source.name} is damaged: {said[:200]}")
    target.chmod(0o600)


async def _save_tables(kept: Kept, writer: Writer, scratch: Path) -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    try:
        async with kept.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            for name, columns in await connection.run_sync(_tables, kept.schema):
                member = f"{POSTGRESQL}/{name}.copy"
                draft = scratch / f"{name}.copy"
                await _copy_out(connection, name, columns, draft)
                writer.add(member, draft)
                draft.unlink()
                found.append({"name": name, "columns": columns, "member": member})
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{kept.schema.party}: {type(error).__name__}") from error
    return found


def _tables(connection: Any, schema: Schema) -> list[tuple[str, list[str]]]:
    inspector = inspect(connection)
    names = sorted(name for name in inspector.get_table_names() if schema.owns(name))
    return [(name, [str(one["name"]) for one in inspector.get_columns(name)]) for name in names]


async def _copy_out(connection: AsyncConnection, name: str, columns: Sequence[str], file: Path) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    with file.open("wb") as opened:
        async with driver.cursor() as cursor, cursor.copy(f"COPY {_named(name, columns)} TO STDOUT") as copy:
            async for block in copy:
                opened.write(block)


async def restore(kept: Kept, said: Mapping[str, Any], folder: Path) -> None:
    """Fill an empty PostgreSQL with what a backup holds; the file of an SQLite lies in its place already.

    Raises: InvalidParameter, Misconfigured for a database that is not empty or of another kind.
    """
    if said["dialect"] != kept.engine.dialect.name:
        raise Misconfigured(
            f"{kept.schema.party}: the backup is of {said['dialect']}, the database is {kept.engine.dialect.name}: "
            "set DID_AGENT_DATABASE_URL accordingly"
        )
    if kept.file is not None:
        return
    await upgrade(kept.engine, kept.schema, to=str(said["revision"]))
    try:
        async with kept.engine.begin() as connection:
            known = dict(await connection.run_sync(_tables, kept.schema))
            for one in said["tables"]:
                name, columns = str(one["name"]), [str(each) for each in one["columns"]]
                if not set(columns) <= set(known.get(name, ())):
                    raise InvalidParameter(f"{name[:60]} is no table of revision {said['revision']}")
                await connection.execute(delete(table(name)))  # what the revisions put there
                await _copy_in(connection, name, columns, folder / str(one["member"]))
                await _go_on(connection, name, columns)
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{kept.schema.party}: {type(error).__name__}: {error}"[:300]) from error


async def empty(kept: Kept) -> None:
    """Take away what a restoration put into a server that was empty before."""
    if kept.file is None and (await state_of(kept.engine, kept.schema)).standing != "empty":
        await downgrade(kept.engine, kept.schema, to=BASE)


async def require_empty(kept: Kept) -> None:
    """Return if there is nothing of this party in its database.

    Raises: Misconfigured.
    """
    if kept.file is None and (await state_of(kept.engine, kept.schema)).standing != "empty":
        raise Misconfigured(f"{kept.schema.party}: its database is not empty; a backup is restored into an empty one")


async def _copy_in(connection: AsyncConnection, name: str, columns: Sequence[str], file: Path) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    with file.open("rb") as opened:
        async with driver.cursor() as cursor, cursor.copy(f"COPY {_named(name, columns)} FROM STDIN") as copy:
            while block := opened.read(_BLOCK):
                await copy.write(block)


async def _go_on(connection: AsyncConnection, name: str, columns: Sequence[str]) -> None:
    """Let numbers that the database gives begin above those that were given."""
    for one in columns:
        sequence = (await connection.execute(select(func.pg_get_serial_sequence(_quoted(name), one)))).scalar()
        if sequence is not None:
            highest = select(func.coalesce(func.max(column(one)), 0) + 1).select_from(table(name)).scalar_subquery()
            await connection.execute(select(func.setval(sequence, highest, False)))


def _named(name: str, columns: Sequence[str]) -> str:
    return f"{_quoted(name)} ({', '.join(map(_quoted, columns))})"


def _quoted(name: str) -> str:
    if not name or not set(name) <= _NAME:
        raise InvalidParameter(f"{name[:60]!r} is no name of ours")
    return f'"{name}"'


async def ledger_state(kept: Kept) -> tuple[int, str | None]:
    """Return how many events the log of a database has, and its newest signed checkpoint."""
    events, notes = table("ledger_events", column("seq")), table("ledger_checkpoints", column("size"), column("note"))
    try:
        async with kept.engine.connect() as connection:
            size = (await connection.execute(select(func.max(events.c.seq)))).scalar()
            newest = select(notes.c.note).order_by(notes.c.size.desc()).limit(1)
            note = (await connection.execute(newest)).scalar()
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"the log cannot be read: {type(error).__name__}") from error
    return int(size or 0), None if note is None else str(note)
