"""The keys organisations sign with, in SQL; private halves are here sealed alone (KEY-01)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows
from issuer.adapters.sql_status import lists
from issuer.adapters.tables import delegations, grants, metadata, notices
from issuer.model.keys import IssuingKey, KeyImpact

_keys: Final = Table(
    "issuer_issuing_keys",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("did", String(256), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("sealed", Text),
    Column("activates", BigInteger, nullable=False),
    Column("replaced", BigInteger),
    Column("ended", BigInteger),
    Column("why", String(16)),
    Column("handover", Text),
    UniqueConstraint("organisation", "generation"),
    UniqueConstraint("did"),
)


class IssuingKeyRows(Rows):
    """Implements `issuer.ports.keys.IssuingKeyWork`."""

    async def issuing_keys(self) -> Sequence[IssuingKey]:
        """Return the keys of all organisations that ever had a second one, the oldest first."""
        query = select(_keys).order_by(_keys.c.organisation, _keys.c.generation)
        return [_key(row) for row in (await self._do.execute(query)).all()]

    async def add_issuing_key(self, key: IssuingKey) -> bool:
        """Keep a key; False when there is one of its generation."""
        row = {"did": key.did, "generation": key.generation, "origin": key.origin, "sealed": key.sealed}
        return await insert_if_absent(
            self._do, _keys, {"organisation": key.organisation, **row, "handover": key.handover, **_moments(key)}
        )

    async def move_issuing_key(self, before: IssuingKey, after: IssuingKey) -> bool:
        """Store a key's moments; False when it is not as it was before."""
        this = and_(_keys.c.organisation == before.organisation, _keys.c.did == before.did)
        same = and_(*(_keys.c[name].is_not_distinct_from(value) for name, value in _moments(before).items()))
        done = await self._do.execute(update(_keys).where(this, same).values(_moments(after)))
        return bool(done.rowcount == 1)

    async def signed_by(self, dids: Collection[str], *, now: datetime) -> KeyImpact:
        """Return what of these keys is in force."""
        held, given = _live(grants, dids, now), _live(delegations, dids, now)
        count, agents, until = (
            await self._do.execute(
                select(func.count(), func.count(grants.c.agent_id.distinct()), func.max(grants.c.valid_until)).where(
                    held
                )
            )
        ).one()
        children, last = (
            await self._do.execute(select(func.count(), func.max(delegations.c.valid_until)).where(given))
        ).one()
        ends = [moment for moment in (until, last) if moment is not None]
        return KeyImpact(
            keys=tuple(dids),
            organisations=(),
            agents=int(agents),
            credentials=int(count),
            delegations=int(children),
            until=from_numeric_date(max(ends)) if ends else None,
        )

    async def end_signed_by(self, dids: Collection[str], *, reason: str, now: datetime) -> int:
        """Revoke what of these keys is in force with all made from it, queue what the bridge must hear; count it."""
        held, at = _live(grants, dids, now), numeric_date(now)
        # A credential is told of once: a notice may be called as it is.
        told = select(grants.c.id, literal("credential-revoked"), grants.c.id, literal(reason), literal(at)).where(held)
        await self._do.execute(insert(notices).from_select(["id", "kind", "subject", "reason", "at"], told))
        below = select(delegations.c.id)
        of_held = delegations.c.parent_id.in_(select(grants.c.id).where(held))
        first = below.where(or_(of_held, _live(delegations, dids, now))).cte("tree", recursive=True)
        tree = first.union(below.where(delegations.c.parent_id == first.c.id))
        standing = and_(delegations.c.id.in_(select(tree.c.id)), delegations.c.revoked.is_(None))
        await self._do.execute(update(delegations).where(standing).values(revoked=at))
        return int((await self._do.execute(update(grants).where(held).values(revoked=at))).rowcount)


def _live(table: Table, dids: Collection[str], now: datetime) -> ColumnElement[bool]:
    signed = table.c.list_number.in_(select(lists.c.number).where(lists.c.issuer.in_(sorted(dids))))
    return and_(signed, table.c.revoked.is_(None), table.c.valid_until > numeric_date(now))


def _moments(key: IssuingKey) -> dict[str, Any]:
    moments = {"activates": key.activates, "replaced": key.replaced, "ended": key.ended}
    numbers = {name: None if moment is None else numeric_date(moment) for name, moment in moments.items()}
    return {**numbers, "why": key.why}


def _key(row: Any) -> IssuingKey:
    return IssuingKey(
        organisation=row.organisation,
        did=row.did,
        generation=row.generation,
        origin=row.origin,
        sealed=row.sealed,
        activates=from_numeric_date(row.activates),
        replaced=None if row.replaced is None else from_numeric_date(row.replaced),
        ended=None if row.ended is None else from_numeric_date(row.ended),
        why=row.why,
        handover=row.handover,
    )
