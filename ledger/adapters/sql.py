"""The log in SQLite or PostgreSQL: one writer at a time, no gaps, a signed checkpoint with every append (AUD-04)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.sql import insert_many, transaction
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.audit.export import export_checkpoint, export_row, export_withheld
from did_agent.audit.nodes import Nodes, Run
from did_agent.clock import numeric_date
from did_agent.encoding.strict_json import parse_object
from ledger.adapters.cosignatures import lines_between
from ledger.adapters.looking_up import (
    actor_rows,
    count_hours,
    event_rows,
    hours_between,
    known_as,
    mention_rows,
    page_of,
    span_of,
)
from ledger.adapters.seals import Keys, empty_what_is_left, end_keys, forget, keys_of, to_erase
from ledger.adapters.tables import MAX_NAME, actors, checkpoints, events, mentions, metadata, state
from ledger.adapters.tree import keep_edge, lock_edge, read_nodes, require_grown
from ledger.model import Accepted, Count, Entry, Erased, Erasure, Question, Row, Signed, entry_of
from ledger.ports import Sign, Told
from ledger.sealing import DataKey, Sealer, is_same, open_row

EXPORT_PAGE: Final = 500  # rows read at a time
ERASED_AT_ONCE: Final = 500  # keys that end in one transaction, with a record of their own

__all__ = ["EXPORT_PAGE", "MAX_NAME", "SQLLog", "metadata"]


class SQLLog:
    """A log in a database; implements `ledger.ports.Log`."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine, self._sealer, self._keys = engine, sealer, Keys(sealer)
        self._signed: tuple[int, bytes] | None = None  # the size and root this process signed last

    async def append(self, events: Sequence[AuditEvent], *, sign: Sign, now: datetime) -> Accepted:
        """Append what is new, sign the state after it, all in one transaction.

        Raises: StoreUnavailable, BadEvent.
        """
        return await self.append_entries([entry_of(event) for event in events], sign=sign, now=now)

    async def append_entries(self, entries: Sequence[Entry], *, sign: Sign, now: datetime) -> Accepted:
        """Do the same with events that were read already; an id the log has with other content is refused alone.

        Raises: StoreUnavailable, also when the log is not the one that was signed before.
        """
        async with transaction(self._engine) as connection:
            accepted, edge = await self._append(connection, entries, sign, now)
        self._signed = edge
        return accepted

    async def erase(self, erasure: Erasure, *, told: Told, sign: Sign, now: datetime) -> Erased:
        """End the keys of personal fields, take those whom they name out of the indexes, and record that.

        Raises: StoreUnavailable.
        """
        async with transaction(self._engine) as connection:
            places = await to_erase(connection, erasure, self._sealer)
        keys = rows = 0
        for first in range(0, max(len(places), 1), ERASED_AT_ONCE):  # so that nobody who delivers waits for long
            some = places[first : first + ERASED_AT_ONCE]
            found = await forget(self._engine, some)
            async with transaction(self._engine) as connection:
                await lock_edge(connection)
                erased = Erased(keys=len(some), rows=found + await end_keys(connection, some))
                _, edge = await self._append(connection, [entry_of(told(erased))], sign, now)
            self._signed = edge
            keys, rows = keys + erased.keys, rows + erased.rows
        await empty_what_is_left(self._engine)
        return Erased(keys=keys, rows=rows)

    async def is_any_sealed(self, erasure: Erasure) -> bool:
        """Tell whether an erasure would end anything."""
        async with transaction(self._engine) as connection:
            return bool(await to_erase(connection, erasure, self._sealer, limit=1))

    async def _append(
        self, connection: AsyncConnection, entries: Sequence[Entry], sign: Sign, now: datetime
    ) -> tuple[Accepted, tuple[int, bytes]]:
        named = {entry.id: entry for entry in entries}
        frontier = await lock_edge(connection)
        if self._signed is not None:
            await require_grown(connection, frontier, *self._signed)
        known = await self._known(connection, named)
        refused = tuple(name for name, same in known.items() if not same)
        fresh = await self._keys.seal(connection, [one for one in named.values() if one.id not in known])
        if fresh:
            first = frontier.size + 1
            await insert_many(connection, events, event_rows(fresh, first))
            await insert_many(connection, actors, actor_rows(fresh, first))
            await insert_many(connection, mentions, mention_rows(fresh, first))
            await count_hours(connection, fresh, first)
            await keep_edge(connection, frontier, frontier.extend([entry.leaf for entry in fresh]))
            note = {"size": frontier.size, "note": sign(frontier.size, frontier.root()), "made": numeric_date(now)}
            await insert_many(connection, checkpoints, [note])
        size, twice = frontier.size, len(known) - len(refused)
        return Accepted(accepted=len(fresh), duplicates=twice, size=size, refused=refused), (size, frontier.root())

    async def _known(self, connection: AsyncConnection, named: Mapping[str, Entry]) -> dict[str, bool]:
        """Return which ids the log has, and whether with the same content."""
        query = select(events.c.id, events.c.event, events.c.sealed).where(events.c.id.in_(list(named)))
        found = (await connection.execute(query)).all()
        keys = await keys_of(connection, found, self._sealer)
        return {one.id: is_same(named[one.id], one.event, one.sealed, keys) for one in found}

    async def _read(self, connection: AsyncConnection, records: Sequence[Any]) -> list[Row]:
        keys = await keys_of(connection, records, self._sealer)
        return [_row(record, keys) for record in records]

    async def rows(self, question: Question) -> Sequence[Row]:
        """Return the rows asked for, oldest first."""
        async with transaction(self._engine) as connection:
            names = await known_as(connection, question, self._sealer)
            query = page_of(question, await span_of(connection, question), names)
            found = await self._read(connection, (await connection.execute(query)).all())
        return found[::-1] if question.newest else found

    async def counts(self, since: str, until: str, organisation: str | None) -> Sequence[Count]:
        """Return what was decided in the hours from `since` to before `until`, of everybody or one organisation."""
        async with transaction(self._engine) as connection:
            return await hours_between(connection, since, until, organisation)

    async def size(self) -> int:
        """Return how many rows there are."""
        async with transaction(self._engine) as connection:
            return int((await connection.execute(select(state.c.size))).scalar_one_or_none() or 0)

    async def leaves(self, size: int) -> Sequence[bytes]:
        """Return the hashes of the first `size` leaves."""
        query = select(events.c.leaf).where(events.c.seq <= size).order_by(events.c.seq)
        async with transaction(self._engine) as connection:
            return [bytes(leaf) for leaf in (await connection.execute(query)).scalars()]

    async def nodes(self, runs: Sequence[Run]) -> Nodes:
        """Return kept nodes of the tree."""
        return await read_nodes(self._engine, runs)

    async def checkpoint(self, size: int | None = None) -> str | None:
        """Return the signed checkpoint over `size` rows, else the newest; None if there is none."""
        query = select(checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)
        if size is not None:
            query = query.where(checkpoints.c.size == size)
        async with transaction(self._engine) as connection:
            note = (await connection.execute(query)).scalar_one_or_none()
        return None if note is None else str(note)

    async def checkpoints(self, after: int, limit: int) -> Sequence[Signed]:
        """Return signed checkpoints over more than `after` rows, the smallest first."""
        query = select(checkpoints).where(checkpoints.c.size > after).order_by(checkpoints.c.size).limit(limit)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(query)).all()
        return [Signed(size=one.size, note=one.note, made=one.made) for one in found]

    async def export(self, organisation: str | None = None) -> AsyncIterator[bytes]:
        """Yield the lines of the log as it is now, each checkpoint after the rows it covers; of others' the hashes."""
        size = await self.size()
        for first in range(0, size, EXPORT_PAGE):
            last = min(first + EXPORT_PAGE, size)
            async with transaction(self._engine) as connection:
                query = select(events).where(events.c.seq > first, events.c.seq <= last).order_by(events.c.seq)
                records = (await connection.execute(query)).all()
                rows = await self._read(connection, records)
                notes = await _notes(connection, first, last)
                signed = await lines_between(connection, first, last)
            for record, row in zip(records, rows, strict=True):
                own = organisation is None or record.organisation == organisation
                yield export_row(row.seq, row.event, row.salts) if own else export_withheld(row.seq, row.leaf)
                if row.seq in notes:
                    yield export_checkpoint(notes[row.seq], signed.get(row.seq, ()))


async def _notes(connection: AsyncConnection, first: int, last: int) -> dict[int, str]:
    query = select(checkpoints).where(checkpoints.c.size > first, checkpoints.c.size <= last)
    return {int(record.size): str(record.note) for record in (await connection.execute(query)).all()}


def _row(record: Any, keys: Mapping[str, DataKey]) -> Row:
    opened, salts = open_row(parse_object(record.event), record.sealed, keys)
    return Row(seq=record.seq, leaf=bytes(record.leaf), event=parse_event(opened), salts=salts)
