"""Status lists in SQL; one flip of a status bit is one row.

Every change of a list counts its version up under a lock of the row that holds it, so versions become visible in their
order: whoever has read up to one has missed nothing before it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Select,
    SmallInteger,
    String,
    Table,
    bindparam,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from did_agent.adapters.sql import Prepared, insert_if_absent
from did_agent.clock import numeric_date
from did_agent.credential.permutation import KEY_BYTES
from did_agent.credential.status import Purpose
from did_agent.errors import StateConflict
from issuer.adapters.rows import Rows
from issuer.adapters.tables import delegations, grants, metadata
from issuer.model.status import Flip, Lease, Place, StatusList
from issuer.status_lists import PURPOSES

CHUNK: Final = 4_000  # values of one statement; SQLite takes 32,766
lists: Final = Table(
    "issuer_status_lists",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organisation", String(64), nullable=False),
    Column("issuer", String(256), nullable=False),
    Column("size", Integer, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("handed", Integer, nullable=False),
    Column("key", String(64), nullable=False),  # of the secret order of its places
    Column("open_for", String(64), unique=True),  # its organisation while places are left: one open list for each
    Index("issuer_status_lists_organisation", "organisation", "number"),
)
_heads: Final = Table(  # beside the lists, so that flipping and handing out places do not wait for each other
    "issuer_status_heads",
    metadata,
    Column("list_number", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)
_flips: Final = Table(
    "issuer_status_flips",
    metadata,
    Column("list_number", BigInteger, primary_key=True, autoincrement=False),
    Column("purpose", SmallInteger, primary_key=True, autoincrement=False),  # its number in PURPOSES
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("value", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("issuer_status_flips_version", "list_number", "version", "purpose", "place"),
)


class StatusRows(Rows):
    """Implements `issuer.ports.status.StatusWork`."""

    async def lease(self, organisation: str, count: int, *, issuer: str, size: int, capacity: int) -> Sequence[Lease]:
        """Return `count` positions nobody was given before."""
        leases: list[Lease] = []
        while count > 0:
            wanted = min(count, capacity)
            taken = await self._leased(organisation, issuer, size, wanted)
            if taken is None:
                taken = await self._rest(organisation, issuer, size, wanted)
            if taken is None:
                await self._open(organisation, issuer, size, capacity)
            elif taken.end > taken.begin:
                leases.append(taken)
                count -= taken.end - taken.begin
        return leases

    async def status_list(self, number: int) -> StatusList | None:
        """Return a list."""
        columns = (lists.c.number, lists.c.organisation, lists.c.issuer, lists.c.size)
        found = (await self._do.execute(select(*columns).where(lists.c.number == number))).one_or_none()
        return None if found is None else StatusList(**found._asdict())

    async def list_version(self, number: int) -> int:
        """Return how often a list was changed."""
        query = select(_heads.c.version).where(_heads.c.list_number == number)
        return (await self._do.execute(query)).scalar_one_or_none() or 0

    async def flips(self, number: int, *, after: Flip | None, since: int, limit: int) -> Sequence[Flip]:
        """Return bits as they are that were changed since a version, in order of version."""
        order = (_flips.c.version, _flips.c.purpose, _flips.c.place)
        query = select(*order, _flips.c.value).where(_flips.c.list_number == number)
        if after is None:
            query = query.where(_flips.c.version > since)
        else:
            at = (after.version, PURPOSES.index(after.purpose), after.place)
            query = query.where(tuple_(*order) > tuple_(*map(literal, at)))
        rows = (await self._do.execute(query.order_by(*order).limit(limit))).all()
        return [Flip(version, PURPOSES[purpose], place, bool(value)) for version, purpose, place, value in rows]

    async def flip(self, places: Sequence[Place], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits at `places`."""
        _require_monotone(purpose, value)
        versions = await self._next_versions({place.list_number for place in places})
        rows = [
            {
                "list_number": place.list_number,
                "purpose": PURPOSES.index(purpose),
                "place": place.index,
                "value": int(value),
                "version": versions[place.list_number],
            }
            for place in places
        ]
        if rows:
            await _flipping(self._do.dialect.name).run_each(self._do, rows)

    async def flip_agents(self, agent_ids: Sequence[str], *, suspended: bool, now: datetime) -> None:
        """Suspend, or bring back, all live credentials of agents and all delegated to them, set-based."""
        at = numeric_date(now)
        for part in _parts(agent_ids):
            held = grants.c.agent_id.in_(part) & (grants.c.valid_until > at) & grants.c.revoked.is_(None)
            if not suspended:
                held &= grants.c.suspended.is_(None)
            given = delegations.c.subject_id.in_(part) & (delegations.c.valid_until > at)
            given &= delegations.c.revoked.is_(None)
            await self._flip_all(grants, held, "suspension", value=suspended)
            await self._flip_all(delegations, given, "suspension", value=suspended)

    async def flip_credentials(self, identifiers: Sequence[str], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits of credentials of ours by their ids, set-based."""
        for part in _parts(identifiers):
            await self._flip_all(grants, grants.c.id.in_(part), purpose, value=value)

    async def flip_delegations(self, identifiers: Sequence[str], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits of registered delegations by their ids, set-based."""
        for part in _parts(identifiers):
            await self._flip_all(delegations, delegations.c.id.in_(part), purpose, value=value)

    async def _flip_all(self, table: Table, condition: Any, purpose: Purpose, *, value: bool) -> None:
        """Flip the places of all rows of a table that fit, in one statement."""
        _require_monotone(purpose, value)
        numbers = select(table.c.list_number).where(condition).distinct()
        touched = await self._next_versions((await self._do.execute(numbers)).scalars().all())
        if not touched:
            return
        condition &= table.c.list_number.in_(touched)  # a list that came up meanwhile is not counted up
        kind = PURPOSES.index(purpose)
        if value:
            found = select(
                table.c.list_number, literal(kind), table.c.list_index, literal(1), _heads.c.version
            ).join_from(table, _heads, _heads.c.list_number == table.c.list_number)
            names = ["list_number", "purpose", "place", "value", "version"]
            await self._do.execute(
                _unless_so(_insert(self._do.dialect.name).from_select(names, found.where(condition)))
            )
            return
        await self._do.execute(_cleared(kind, select(table.c.list_number, table.c.list_index).where(condition)))

    async def _next_versions(self, numbers: Collection[int]) -> dict[int, int]:
        """Count lists up, held until the transaction ends, always in the same order: nobody waits in a circle."""
        if not numbers:
            return {}
        rows: Sequence[Sequence[Any]]
        if len(numbers) == 1:  # as most of the time: the flip of one bit
            rows = await _COUNT_UP.run(self._do, {"wanted": next(iter(numbers))})
        else:
            held = select(_heads.c.list_number).where(_heads.c.list_number.in_(numbers))
            await self._do.execute(held.order_by(_heads.c.list_number).with_for_update())
            counted = update(_heads).where(_heads.c.list_number.in_(numbers)).values(version=_heads.c.version + 1)
            rows = (await self._do.execute(counted.returning(_heads.c.list_number, _heads.c.version))).all()
        versions = dict[int, int]((number, version) for number, version in rows)
        self.flipped.update(versions)
        return versions

    async def _leased(self, organisation: str, issuer: str, size: int, count: int) -> Lease | None:
        room = (lists.c.open_for == organisation) & (lists.c.issuer == issuer) & (lists.c.size == size)
        room &= lists.c.handed + count <= lists.c.capacity
        counted = update(lists).where(room).values(handed=lists.c.handed + count)
        found = (await self._do.execute(counted.returning(*_LEASED))).one_or_none()
        return None if found is None else _lease(found, found.handed - count, found.handed)

    async def _rest(self, organisation: str, issuer: str, size: int, count: int) -> Lease | None:
        """Close an open list that does not serve any more, and return what was left of it where that serves."""
        unfit = (lists.c.issuer != issuer) | (lists.c.size != size) | (lists.c.handed + count > lists.c.capacity)
        closed = update(lists).where((lists.c.open_for == organisation) & unfit).values(open_for=None)
        found = (await self._do.execute(closed.returning(*_LEASED))).one_or_none()
        if found is None or (found.issuer, found.size) != (issuer, size):
            return None
        end = min(found.capacity, found.handed + count)
        await self._do.execute(update(lists).where(lists.c.number == found.number).values(handed=end))
        return _lease(found, found.handed, end)

    async def _open(self, organisation: str, issuer: str, size: int, capacity: int) -> None:
        row = {
            "organisation": organisation,
            "issuer": issuer,
            "size": size,
            "capacity": capacity,
            "handed": 0,
            "key": secrets.token_hex(KEY_BYTES),
            "open_for": organisation,
        }
        if await insert_if_absent(self._do, lists, row):
            number = select(lists.c.number, literal(0)).where(lists.c.open_for == organisation)
            await self._do.execute(insert(_heads).from_select(["list_number", "version"], number))


_COUNT_UP: Final = Prepared(
    update(_heads)
    .where(_heads.c.list_number == bindparam("wanted", type_=BigInteger))
    .values(version=_heads.c.version + literal_column("1"))
    .returning(_heads.c.list_number, _heads.c.version)
)
_LEASED: Final = (lists.c.number, lists.c.size, lists.c.key, lists.c.issuer, lists.c.handed, lists.c.capacity)


def _lease(row: Any, begin: int, end: int) -> Lease:
    return Lease(list_number=row.number, size=row.size, key=bytes.fromhex(row.key), begin=begin, end=end)


def _require_monotone(purpose: Purpose, value: bool) -> None:
    if purpose == "revocation" and not value:
        raise StateConflict("a revocation is never taken back")


def _insert(dialect: str) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(_flips)


@cache
def _flipping(dialect: str) -> Prepared:
    return Prepared(_unless_so(_insert(dialect)))


def _unless_so(statement: Any) -> Any:
    """Return the insert that writes a bit which is otherwise now, and leaves one alone that is so already."""
    changed = {"value": statement.excluded.value, "version": statement.excluded.version}
    keys = list(_flips.primary_key.columns)
    otherwise = _flips.c.value != statement.excluded.value
    return statement.on_conflict_do_update(index_elements=keys, set_=changed, where=otherwise)


def _cleared(kind: int, places: Select[Any]) -> Any:
    version = select(_heads.c.version).where(_heads.c.list_number == _flips.c.list_number).scalar_subquery()
    standing = (_flips.c.purpose == kind) & (_flips.c.value == 1)
    standing &= tuple_(_flips.c.list_number, _flips.c.place).in_(places)
    return update(_flips).where(standing).values(value=0, version=version)


def _parts(values: Sequence[str]) -> Sequence[Sequence[str]]:
    return [values[begin : begin + CHUNK] for begin in range(0, len(values), CHUNK)]
