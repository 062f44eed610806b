"""Places of long-lived tokens in SQL; what an event ends is flipped by one statement, whatever it was made from."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    cast,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.adapters import tables
from bridge.adapters.rows import Rows
from bridge.model.token_status import CAPACITY, Status, TokenFlip, TokenLease, TokenPlace
from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.credential.permutation import KEY_BYTES
from did_agent.tokens.security_event import RESUMPTIONS, SUSPENSIONS

_OPEN: Final = "open"
lists: Final = Table(
    "bridge_token_lists",
    tables.metadata,
    # SQLite numbers rows by itself only under exactly this type.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("handed", Integer, nullable=False),
    Column("key", String(64), nullable=False),  # of the secret order of its places
    Column("open", String(8), unique=True),  # while places are left; one list is open at a time
)
places: Final = Table(
    "bridge_token_places",
    tables.metadata,
    Column("token_id", String(tables.DIGEST), primary_key=True),
    Column("list_number", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),  # number of the feed since which it is so; 0: from the first
    Column("expires", BigInteger, nullable=False, index=True),
    UniqueConstraint("list_number", "place"),
    Index("bridge_token_places_version", "list_number", "version", "place"),
)


class TokenStatusRows(Rows):
    """Implements `bridge.ports.token_status.TokenStatuses`."""

    async def lease_places(self, count: int) -> Sequence[TokenLease]:
        leases: list[TokenLease] = []
        while count > 0:
            wanted = min(count, CAPACITY)
            room = (lists.c.open == _OPEN) & (lists.c.handed + wanted <= CAPACITY)
            counted = update(lists).where(room).values(handed=lists.c.handed + wanted).returning(*lists.c)
            found = (await self._do.execute(counted)).one_or_none()
            if found is not None:
                key = bytes.fromhex(found.key)
                begin, end = found.handed - wanted, found.handed
                leases.append(TokenLease(list_number=found.number, key=key, begin=begin, end=end))
                return leases
            full = (lists.c.open == _OPEN) & (lists.c.handed + wanted > CAPACITY)
            await self._do.execute(update(lists).where(full).values(open=None))
            await insert_if_absent(self._do, lists, {"handed": 0, "key": secrets.token_hex(KEY_BYTES), "open": _OPEN})
        return leases

    async def add_place(self, token_id: str, place: TokenPlace, *, expires: datetime) -> None:
        row = {"token_id": token_id, "status": 0, "version": 0, "expires": numeric_date(expires), **place._asdict()}
        await self._do.execute(insert(places).values(row))

    async def has_list(self, number: int) -> bool:
        query = select(lists.c.number).where(lists.c.number == number)
        return (await self._do.execute(query)).one_or_none() is not None

    async def token_flips(self, number: int, *, since: int, limit: int) -> Sequence[TokenFlip]:
        query = select(places.c.version, places.c.place, places.c.status)
        query = query.where(places.c.list_number == number, places.c.version > since)
        rows = (await self._do.execute(query.order_by(places.c.version, places.c.place).limit(limit))).all()
        return [TokenFlip(*row) for row in rows]

    async def _flip_tokens(self, subjects: Sequence[str], *, version: int, at: int) -> None:
        """Make the places of all tokens under subjects say what became of these, now that their endings are written."""
        if (await self._do.execute(select(lists.c.number).limit(1))).one_or_none() is None:
            return  # no token of this bridge names a list
        kind = tables.endings.c.kind
        back = _under(subjects, kind.in_(RESUMPTIONS), at) & (places.c.status == 2)
        await self._mark(back & places.c.token_id.not_in(await self._still_suspended(back)), 0, version)
        await self._mark(_under(subjects, kind.in_(SUSPENSIONS), at) & (places.c.status == 0), 2, version)
        final = kind.not_in((*RESUMPTIONS, *SUSPENSIONS))
        await self._mark(_under(subjects, final, at) & (places.c.status != 1), 1, version)

    async def _still_suspended(self, live: Any) -> Sequence[str]:
        """Return which of these tokens depend on something else that is suspended."""
        links, endings = tables.dependencies, tables.endings
        up = select(places.c.token_id.label("token"), cast(places.c.token_id, Text).label("id")).where(live)
        above = up.cte("above", recursive=True)
        above = above.union(select(above.c.token, cast(links.c.depends_on, Text)).where(links.c.token_id == above.c.id))
        query = select(above.c.token).join(endings, endings.c.subject == above.c.id)
        return list((await self._do.execute(query.where(endings.c.kind.in_(SUSPENSIONS)).distinct())).scalars())

    async def _mark(self, condition: Any, status: Status, version: int) -> None:
        done = await self._do.execute(update(places).where(condition).values(status=status, version=version))
        self.flips += done.rowcount


def _under(subjects: Sequence[str], ended: Any, at: int) -> Any:
    """Return the condition of a live token that was made from subjects which ended so, however indirectly."""
    links, subject = tables.dependencies, tables.endings.c.subject
    # Cast, because PostgreSQL wants one and the same type above and below.
    under = select(cast(subject, Text).label("id")).where(subject.in_(subjects), ended).cte("under", recursive=True)
    under = under.union(select(cast(links.c.token_id, Text)).where(links.c.depends_on == under.c.id))
    return places.c.token_id.in_(select(under.c.id)) & (places.c.expires > at)


async def forget_lists(connection: AsyncConnection) -> None:
    """Retire lists that are full and whose tokens are all over."""
    closed = lists.c.open.is_(None) & lists.c.number.not_in(select(places.c.list_number))
    await connection.execute(delete(lists).where(closed))
