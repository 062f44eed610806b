"""Operators of organisations in the bridge's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, String, Table, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import _key, _text, _time, metadata
from bridge.model.operators import OrganisationOperator
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

_operators: Final = Table(
    "bridge_operators",
    metadata,
    _key("did", 256),
    _text("name"),
    Column("organisation", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    _time("added"),
    Column("removed", BigInteger),
)


class OperatorRows(Rows):
    """Implements `bridge.ports.operators.Operators`."""

    async def put_operator(self, operator: OrganisationOperator) -> None:
        values = {
            "name": operator.name,
            "organisation": operator.organisation,
            "role": operator.role,
            "added": numeric_date(operator.added),
            "removed": None,
        }
        await self._put(_operators.c.did, operator.did, values)

    async def operator(self, did: str) -> OrganisationOperator | None:
        rows = await self._rows(_operators, _operators.c.did == did, _operators.c.removed.is_(None))
        return _operator(rows[0]) if rows else None

    async def operators(self) -> Sequence[OrganisationOperator]:
        return [_operator(row) for row in await self._rows(_operators, _operators.c.removed.is_(None))]

    async def remove_operator(self, did: str, now: datetime) -> bool:
        there = (_operators.c.did == did) & _operators.c.removed.is_(None)
        done = await self._do.execute(update(_operators).where(there).values(removed=numeric_date(now)))
        return bool(done.rowcount == 1)


def _operator(row: dict[str, Any]) -> OrganisationOperator:
    return OrganisationOperator(
        did=row["did"],
        name=row["name"],
        organisation=row["organisation"],
        role=row["role"],
        added=from_numeric_date(row["added"]),
        removed=None if row["removed"] is None else from_numeric_date(row["removed"]),
    )
