"""The log in SQLite or PostgreSQL: one writer at a time, no gaps, a signed checkpoint with every append (AUD-04)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.sql import insert_if_absent, transaction
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.audit.export import export_checkpoint, export_row
from did_agent.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from did_agent.clock import numeric_date
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import StateConflict
from ledger.model import Accepted, Question, Row
from ledger.ports import Sign

EXPORT_PAGE: Final = 500  # rows read at a time
MAX_NAME: Final = 512  # characters of an actor
_INDEXED: Final = {"principal": MAX_NAME, "target": MAX_NAME, "action": 64, "decision": 8}  # characters of each

metadata: Final = MetaData()
_events: Final = Table(
    "ledger_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
    Column("leaf", LargeBinary(HASH_BYTES), nullable=False),
    Column("event", Text, nullable=False),
    *(Column(name, String(limit), index=True) for name, limit in _INDEXED.items()),
)
_actors: Final = Table(
    "ledger_actors",
    metadata,
    Column("actor", String(MAX_NAME), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
)
_checkpoints: Final = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("made", BigInteger, nullable=False),
)
_state: Final = Table(
    "ledger_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # roots of the complete subtrees, concatenated
)
_ONLY: Final = 1  # id of the only row of `ledger_state`


class SQLLog:
    """A log in a database; implements `ledger.ports.Log`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, events: Sequence[AuditEvent], *, sign: Sign, now: datetime) -> Accepted:
        """Append what is new, sign the state after it, all in one transaction.

        Raises: StateConflict when an id is there with other content, StoreUnavailable.
        """
        hashed = {event.id: (event, leaf_hash(event.canonical())) for event in events}
        async with transaction(self._engine) as connection:
            frontier = await _lock(connection)
            known = await _known(connection, hashed)
            changed = [identifier for identifier, leaf in known.items() if leaf != hashed[identifier][1]]
            if changed:
                raise StateConflict(f"event {changed[0]} is in the log with other content")
            fresh = [pair for identifier, pair in hashed.items() if identifier not in known]
            if fresh:
                await _write(connection, frontier, fresh)
                note = sign(frontier.size, frontier.root())
                await connection.execute(
                    insert(_checkpoints).values(size=frontier.size, note=note, made=numeric_date(now))
                )
        return Accepted(accepted=len(fresh), duplicates=len(known), size=frontier.size)

    async def rows(self, question: Question) -> Sequence[Row]:
        """Return the rows asked for, oldest first."""
        query = _filtered(question).limit(question.limit)
        query = query.order_by(_events.c.seq.desc() if question.newest else _events.c.seq)
        async with transaction(self._engine) as connection:
            found = [_row(record) for record in (await connection.execute(query)).all()]
        return found[::-1] if question.newest else found

    async def size(self) -> int:
        """Return how many rows there are."""
        async with transaction(self._engine) as connection:
            return int((await connection.execute(select(_state.c.size))).scalar_one_or_none() or 0)

    async def leaves(self, size: int) -> Sequence[bytes]:
        """Return the hashes of the first `size` leaves."""
        query = select(_events.c.leaf).where(_events.c.seq <= size).order_by(_events.c.seq)
        async with transaction(self._engine) as connection:
            return [bytes(leaf) for leaf in (await connection.execute(query)).scalars()]

    async def checkpoint(self) -> str | None:
        """Return the newest signed checkpoint; None before the first row."""
        query = select(_checkpoints.c.note).order_by(_checkpoints.c.size.desc()).limit(1)
        async with transaction(self._engine) as connection:
            note = (await connection.execute(query)).scalar_one_or_none()
        return None if note is None else str(note)

    async def export(self) -> AsyncIterator[bytes]:
        """Yield the lines of the log as it is now, each checkpoint after the rows it covers."""
        size = await self.size()
        for first in range(0, size, EXPORT_PAGE):
            last = min(first + EXPORT_PAGE, size)
            async with transaction(self._engine) as connection:
                query = select(_events).where(_events.c.seq > first, _events.c.seq <= last).order_by(_events.c.seq)
                rows = [_row(record) for record in (await connection.execute(query)).all()]
                notes = await _notes(connection, first, last)
            for row in rows:
                yield export_row(row.seq, row.event)
                if row.seq in notes:
                    yield export_checkpoint(notes[row.seq])


async def _lock(connection: AsyncConnection) -> Frontier:
    """Return the frontier, held against every other writer until the transaction ends."""
    await insert_if_absent(connection, _state, {"id": _ONLY, "size": 0, "frontier": b""})
    state = (await connection.execute(select(_state).where(_state.c.id == _ONLY).with_for_update())).one()
    joined = bytes(state.frontier)
    roots = [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]
    return Frontier(state.size, roots)


async def _known(connection: AsyncConnection, ids: Mapping[str, object]) -> dict[str, bytes]:
    query = select(_events.c.id, _events.c.leaf).where(_events.c.id.in_(list(ids)))
    return {str(record.id): bytes(record.leaf) for record in (await connection.execute(query)).all()}


async def _write(connection: AsyncConnection, frontier: Frontier, fresh: Sequence[tuple[AuditEvent, bytes]]) -> None:
    rows: list[dict[str, Any]] = []
    actors: list[dict[str, Any]] = []
    for event, leaf in fresh:
        frontier.append(leaf)
        rows.append(
            {
                "seq": frontier.size,
                "id": event.id,
                "leaf": leaf,
                "event": event.canonical().decode(),
                **{name: said and _key(said, _INDEXED[name]) for name, said in _indexed(event).items()},
            }
        )
        acting = dict.fromkeys(_key(actor, MAX_NAME) for actor in event.actors)
        actors += [{"actor": actor, "seq": frontier.size} for actor in acting]
    await connection.execute(insert(_events), rows)
    if actors:
        await connection.execute(insert(_actors), actors)
    state = {"size": frontier.size, "frontier": b"".join(frontier.roots)}
    await connection.execute(update(_state).where(_state.c.id == _ONLY).values(**state))


async def _notes(connection: AsyncConnection, first: int, last: int) -> dict[int, str]:
    query = select(_checkpoints).where(_checkpoints.c.size > first, _checkpoints.c.size <= last)
    return {int(record.size): str(record.note) for record in (await connection.execute(query)).all()}


def _filtered(question: Question) -> Select[Any]:
    query = select(_events).where(_events.c.seq > question.after)
    for name, value in _indexed(question).items():
        if value is not None:
            query = query.where(_events.c[name] == _key(value, _INDEXED[name]))
    if question.actor is not None:
        actor = _key(question.actor, MAX_NAME)
        acts = exists().where(_actors.c.seq == _events.c.seq, _actors.c.actor == actor)
        query = query.where(or_(acts, _events.c.principal == actor))
    return query


def _indexed(source: AuditEvent | Question) -> dict[str, str | None]:
    return {name: getattr(source, name) for name in _INDEXED}


def _key(value: str, limit: int) -> str:
    """Return what stands for `value` in an index: itself, or its digest where a database would not take it.

    Tool names are the callers' choice.  PostgreSQL stores no NUL and nothing longer than its column, and an event
    the log cannot take would hold up every later delivery of the party that recorded it.
    """
    return value if len(value) <= limit and "\0" not in value else digest_uri(value.encode())


def _row(record: Any) -> Row:
    return Row(seq=record.seq, leaf=bytes(record.leaf), event=parse_event(parse_object(record.event)))
