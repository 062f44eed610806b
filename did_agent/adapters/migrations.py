"""The schema of a party by revisions: made, recognised, taken up and down, and refused where it does not fit (ADR 22).

History is a line: revisions are numbered "0001", "0002", …  Each says in `works_from` the oldest revision whose release
still works with it, and the database keeps that beside its number; so a release knows whether it may run on a schema
that is newer than itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from sqlalchemy import Connection, String, column, func, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.schema import BASE, Schema
from did_agent.errors import Misconfigured

LOCK_WAIT: Final = 300.0  # s a process waits while another takes the same schema up
_PAUSE: Final = 0.1  # s between looks at the lock
# A change that waits for a long reader makes all who come after it wait too: it gives up sooner than they do.
_TABLE_WAIT: Final = "5s"
_NUMBER: Final = re.compile(r"\d{4}")
_log: Final = logging.getLogger("did_agent.schema")

Standing = Literal["empty", "unversioned", "older", "current", "newer", "too new"]
When = Literal["start", "never"]  # None: at the start for SQLite, never for PostgreSQL


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a database stands towards this release."""

    standing: Standing
    revision: str = BASE
    works_from: str = BASE


async def prepare_schema(engine: AsyncEngine, schema: Schema, *, migrate: When | None = None) -> State:
    """Make sure that this release can work with a database; an empty one gets the newest schema.

    Raises: Misconfigured when it cannot, and when it may not be taken up at the start.
    """
    state = await state_of(engine, schema)
    if _must_change(schema, state, at_start=_at_start(engine, migrate)):
        await upgrade(engine, schema)
        state = await state_of(engine, schema)
    return state


async def state_of(engine: AsyncEngine, schema: Schema) -> State:
    """Return where a database stands; it is only looked at."""
    async with _reached(), engine.connect() as connection:
        return await connection.run_sync(_look, schema)


async def upgrade(engine: AsyncEngine, schema: Schema, *, to: str | None = None) -> None:
    """Take a database up to a revision, by default the newest, one process at a time.

    Raises: Misconfigured for one that is newer, that no revision made, or that stays busy.
    """
    from did_agent.adapters.revisions import adopt, run_up

    newest = schema.newest if to is None else _known(schema, to)
    async with _locked(engine, schema) as connection:
        state = await connection.run_sync(_look, schema)
        if state.standing in ("newer", "too new") or state.revision > newest:
            raise Misconfigured(f"{schema.party}: the database is at {state.revision}, which is above {newest}")
        await _done_reading(connection)
        if state.standing == "unversioned":
            await connection.run_sync(adopt, schema)
            _log.warning("%s: tables of an earlier release were adopted", schema.party)
            state = await connection.run_sync(_look, schema)
            await _done_reading(connection)
        if state.revision < newest:
            # A new database is whole or not there: nobody who starts meanwhile may find half of it.
            whole = state.standing == "empty"
            await connection.run_sync(partial(run_up, schema=schema, begin=state.revision, end=newest, whole=whole))
            said = _log.info if whole else _log.warning
            said("%s: the schema went from %s to %s", schema.party, state.revision, newest)


async def downgrade(engine: AsyncEngine, schema: Schema, *, to: str) -> None:
    """Take a database down to a revision; what the ones above it added is lost.

    Raises: Misconfigured for a database that this release does not know.
    """
    from did_agent.adapters.revisions import run_down

    _known(schema, to)
    async with _locked(engine, schema) as connection:
        state = await connection.run_sync(_look, schema)
        if state.standing not in ("older", "current", "empty") or state.revision < to:
            raise Misconfigured(
                f"{schema.party}: the database is {state.standing}, at {state.revision}, not above {to}"
            )
        await _done_reading(connection)
        await connection.run_sync(partial(run_down, schema=schema, begin=state.revision, end=to))


async def _done_reading(connection: AsyncConnection) -> None:
    """End the transaction of a look, so that each revision has its own; SQLite has one for all."""
    if connection.dialect.name != "sqlite":
        await connection.commit()


def _known(schema: Schema, revision: str) -> str:
    if revision != BASE and revision not in schema.revisions:
        raise Misconfigured(f"{schema.party} has no revision {revision}; the newest is {schema.newest}")
    return revision


def _at_start(engine: AsyncEngine, migrate: When | None) -> bool:
    return migrate == "start" or (migrate is None and engine.dialect.name == "sqlite")


def _must_change(schema: Schema, state: State, *, at_start: bool) -> bool:
    """Return whether the database is to be taken up now.  Raises: Misconfigured when nothing can begin with it."""
    if state.standing in ("current", "newer"):
        if state.standing == "newer":
            _log.warning("%s: runs on schema %s, made for %s", schema.party, state.revision, schema.newest)
        return False
    if state.standing == "too new":
        raise Misconfigured(
            f"{schema.party}: the database is at {state.revision}, which works from {state.works_from} on; this "
            f"release was made for {schema.newest}: run a newer one"
        )
    if state.standing == "empty" or at_start:
        return True
    raise Misconfigured(
        f"{schema.party}: the database is at {state.revision}, this release needs {schema.newest}: "
        f"run `did-agent database upgrade {schema.party}`, or set DID_AGENT_MIGRATE=start"
    )


def _look(connection: Connection, schema: Schema) -> State:
    inspector = inspect(connection)
    names = inspector.get_table_names()
    revision = BASE
    if schema.version_table in names:
        version = table(schema.version_table, column("version_num", String))
        revision = connection.execute(select(version.c.version_num)).scalar() or BASE
    if revision == BASE:
        return State(standing="unversioned" if any(map(schema.owns, names)) else "empty")
    works_from = _works_from(connection, schema) or revision
    return State(standing=_standing(schema.newest, revision, works_from), revision=revision, works_from=works_from)


def _works_from(connection: Connection, schema: Schema) -> str | None:
    found = connection.execute(select(func.max(schema.applied.c.works_from))).scalar()
    return None if found is None else str(found)


def _standing(newest: str, revision: str, works_from: str) -> Standing:
    if revision == newest:
        return "current"
    if _NUMBER.fullmatch(revision) and revision < newest:
        return "older"
    return "newer" if works_from <= newest else "too new"


@asynccontextmanager
async def _locked(engine: AsyncEngine, schema: Schema) -> AsyncIterator[AsyncConnection]:
    """Yield a connection that alone changes a schema: SQLite in one transaction, PostgreSQL in one a revision."""
    async with _reached():
        if engine.dialect.name == "sqlite":
            async with engine.begin() as connection:  # begins as a writer: others wait, or find it done
                yield connection
            return
        key = int.from_bytes(hashlib.sha256(f"schema of {schema.party}".encode()).digest()[:8], signed=True)
        async with engine.connect() as holder:
            # A session's lock, asked for again and again: waiting inside a statement would keep a snapshot, and the
            # revision that builds an index beside writers would wait for exactly that.
            await holder.execution_options(isolation_level="AUTOCOMMIT")
            await _taken(holder, key, schema.party)
            try:
                async with engine.connect() as connection:
                    await connection.execute(text(f"SET lock_timeout = '{_TABLE_WAIT}'"))
                    await connection.commit()
                    try:
                        yield connection
                    finally:
                        await connection.invalidate()  # with what was set on it
            finally:
                await holder.execute(select(func.pg_advisory_unlock(key)))


async def _taken(holder: AsyncConnection, key: int, party: str) -> None:
    for _ in range(int(LOCK_WAIT / _PAUSE)):
        if (await holder.execute(select(func.pg_try_advisory_lock(key)))).scalar_one():
            return
        await asyncio.sleep(_PAUSE)
    raise Misconfigured(f"{party}: another process has been changing the schema for {LOCK_WAIT:.0f} s")


@asynccontextmanager
async def _reached() -> AsyncIterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise Misconfigured(f"the database cannot be opened or changed: {cause[:200]}") from error
