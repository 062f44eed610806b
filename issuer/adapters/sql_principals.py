"""Principals of organisations in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, String, Table, Text, and_, delete, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows
from issuer.adapters.tables import metadata
from issuer.model.principals import Principal

_principals: Final = Table(
    "issuer_principals",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(256), primary_key=True),
    Column("roles", String(64), nullable=False),
    Column("seen", BigInteger),
    Column("sponsors", Text, nullable=False),
    Column("named_by", String(256)),
)


class PrincipalRows(Rows):
    """Implements `issuer.ports.principals.PrincipalWork`."""

    async def principal(self, identifier: str, *, organisation: str) -> Principal | None:
        """Return a principal of an organisation."""
        found = (await self._do.execute(select(_principals).where(_one(organisation, identifier)))).one_or_none()
        return None if found is None else _principal(found)

    async def principals(self, organisation: str, *, after: str, limit: int) -> Sequence[Principal]:
        """Return principals, by what they are called."""
        wanted = and_(_principals.c.organisation == organisation, _principals.c.id > after)
        rows = await self._do.execute(select(_principals).where(wanted).order_by(_principals.c.id).limit(limit))
        return [_principal(row) for row in rows.all()]

    async def note_principal(self, principal: Principal) -> None:
        """Store that a principal came, and with which roles; what an admin said of it stays."""
        await self._put_principal(principal, "roles", "seen")

    async def name_principal(self, principal: Principal) -> None:
        """Store what an admin says of a principal; when it came stays."""
        await self._put_principal(principal, "sponsors", "named_by")

    async def forget_principal(self, identifier: str, *, organisation: str) -> bool:
        """Delete a principal; False when there is none."""
        return bool((await self._do.execute(delete(_principals).where(_one(organisation, identifier)))).rowcount)

    async def _put_principal(self, principal: Principal, *names: str) -> None:
        row = _row(principal)
        if not await insert_if_absent(self._do, _principals, row):
            same = _one(principal.organisation, principal.id)
            await self._do.execute(update(_principals).where(same).values({name: row[name] for name in names}))


def _one(organisation: str, identifier: str) -> Any:
    return and_(_principals.c.organisation == organisation, _principals.c.id == identifier)


def _row(principal: Principal) -> dict[str, Any]:
    return {
        "organisation": principal.organisation,
        "id": principal.id,
        "roles": " ".join(sorted(principal.roles)),
        "seen": None if principal.seen is None else numeric_date(principal.seen),
        "sponsors": json.dumps(principal.sponsors),
        "named_by": principal.named_by,
    }


def _principal(row: Any) -> Principal:
    return Principal(
        organisation=row.organisation,
        id=row.id,
        roles=frozenset(row.roles.split()),
        seen=None if row.seen is None else from_numeric_date(row.seen),
        sponsors=tuple(json.loads(row.sponsors)),
        named_by=row.named_by,
    )
