"""Data keys in SQL, and the end of them: a person's fields can be opened as long as their key is here (AUD-05)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import and_, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.sql import insert_many, transaction
from did_agent.adapters.sqlite_inline import driver_of
from ledger.adapters.tables import MAX_NAME, MONTH_LENGTH, actors, events, key_of, seals, state
from ledger.model import Entry, Erasure
from ledger.sealing import DataKey, Sealer, keys_in

_PAGE: Final = 1_000  # rows that are taken out of the indexes at a time
_MARKS: Final = 500  # asked for at a time
_REMEMBERED: Final = 20_000  # keys that are kept open

_Place = tuple[str, str, str]  # mark, month, organisation


class Keys:
    """The data keys that new entries are sealed with.

    Those that were read before are kept, up to the next erasure by whichever process: the edge of the log, which is
    held while something is appended, counts them.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._erasures = 0
        self._read: dict[_Place, DataKey] = {}

    async def seal(self, connection: AsyncConnection, fresh: Sequence[Entry]) -> Sequence[Entry]:
        """Return new entries with their personal fields sealed; keys that are missing are made.

        Raises: BadKey where a key was wrapped by another ledger.
        """
        places = [{person: self._place(entry, person) for person in _people(entry)} for entry in fresh]
        held = await self._held(connection, {place for own in places for place in own.values()})
        return [
            self._sealer.seal(entry, {person: held[place] for person, place in own.items()}) if own else entry
            for entry, own in zip(fresh, places, strict=True)
        ]

    async def _held(self, connection: AsyncConnection, wanted: set[_Place]) -> Mapping[_Place, DataKey]:
        erasures = int(await connection.scalar(select(state.c.erasures)) or 0)
        if erasures != self._erasures or len(self._read) > _REMEMBERED:
            self._erasures, self._read = erasures, {}
        unread = sorted(wanted - self._read.keys())
        for first in range(0, len(unread), _MARKS):
            some = unread[first : first + _MARKS]
            marks, months = sorted({place[0] for place in some}), sorted({place[1] for place in some})
            query = select(seals).where(seals.c.mark.in_(marks), seals.c.month.in_(months))
            for one in (await connection.execute(query)).all():
                key = self._sealer.unwrap(one.id, bytes(one.key))
                self._read[one.mark, one.month, one.organisation] = key
        made = {place: self._sealer.new_key() for place in unread if place not in self._read}
        if made:
            rows = [
                {"mark": mark, "month": month, "organisation": whose, "id": key.id, "key": self._sealer.wrap(key)}
                for (mark, month, whose), key in made.items()
            ]
            await insert_many(connection, seals, rows)
        return {**self._read, **made} if made else self._read  # what was made may yet be rolled back

    def _place(self, entry: Entry, person: str) -> _Place:
        whose = key_of(entry.organisation, MAX_NAME) if entry.organisation else ""
        return self._sealer.mark(person), entry.time[:MONTH_LENGTH], whose


async def keys_of(connection: AsyncConnection, records: Iterable[Any], sealer: Sealer) -> Mapping[str, DataKey]:
    """Return the keys of rows, as far as they are still there."""
    wanted = sorted({name for record in records for name in keys_in(record.sealed)})
    found: dict[str, DataKey] = {}
    for first in range(0, len(wanted), _MARKS):
        query = select(seals.c.id, seals.c.key).where(seals.c.id.in_(wanted[first : first + _MARKS]))
        for name, wrapped in (await connection.execute(query)).all():
            found[name] = sealer.unwrap(name, bytes(wrapped))
    return found


async def to_erase(
    connection: AsyncConnection, erasure: Erasure, sealer: Sealer, *, limit: int | None = None
) -> list[_Place]:
    """Return the places whose keys an erasure ends."""
    query = select(seals.c.mark, seals.c.month, seals.c.organisation).limit(limit)
    if erasure.person is not None:
        query = query.where(seals.c.mark == sealer.mark(erasure.person))
    if erasure.before is not None:
        query = query.where(seals.c.month < erasure.before)
    if erasure.organisation is not None:
        query = query.where(seals.c.organisation == key_of(erasure.organisation, MAX_NAME))
    return [(one.mark, one.month, one.organisation) for one in (await connection.execute(query)).all()]


async def forget(engine: AsyncEngine, places: Iterable[_Place]) -> int:
    """Take people out of the indexes, a page at a time; return how many rows they stood in.

    It comes before their keys end, so that what was broken off is found again and finished.
    """
    count = 0
    for place in places:
        found = _PAGE
        while found:
            async with transaction(engine) as connection:
                found = await _forget(connection, place)
            count += found
    return count


async def end_keys(connection: AsyncConnection, places: Sequence[_Place]) -> int:
    """Delete data keys while nobody appends, with what came since `forget`; return how many rows that was."""
    count = 0
    for place in places:
        while found := await _forget(connection, place):
            count += found
        mark, month, whose = place
        own = and_(seals.c.mark == mark, seals.c.month == month, seals.c.organisation == whose)
        await connection.execute(delete(seals).where(own))
    await connection.execute(update(state).values(erasures=func.coalesce(state.c.erasures, 0) + 1))
    return count


async def _forget(connection: AsyncConnection, place: _Place) -> int:
    mark, month, whose = place
    await clear_what_is_deleted(connection)
    own = events.c.organisation.is_(None) if not whose else events.c.organisation == whose
    here = and_(events.c.time >= month, events.c.time < f"{month}~", own)
    acted = select(actors.c.seq).join(events, events.c.seq == actors.c.seq).where(actors.c.actor == mark, here)
    meant = select(events.c.seq).where(events.c.target == mark, here)
    found = list((await connection.execute(acted.order_by(actors.c.seq).limit(_PAGE))).scalars())
    await connection.execute(delete(actors).where(actors.c.actor == mark, actors.c.seq.in_(found)))
    targets = list((await connection.execute(meant.order_by(events.c.seq).limit(_PAGE))).scalars())
    await connection.execute(update(events).where(events.c.seq.in_(targets)).values(target=None))
    return len({*found, *targets})


async def clear_what_is_deleted(connection: AsyncConnection) -> None:
    """Let SQLite write zeros over what a transaction deletes."""
    if connection.dialect.name == "sqlite":
        await connection.execute(text("PRAGMA secure_delete = ON"))


async def empty_what_is_left(engine: AsyncEngine) -> None:
    """Take deleted keys out of the files: SQLite's log of writes is cut, PostgreSQL's old rows are vacuumed."""
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver_of(connection.sync_connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            return
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM ledger_seals"))


def _people(entry: Entry) -> Iterable[str]:
    return {person: None for people in entry.personal.values() for person in people}
