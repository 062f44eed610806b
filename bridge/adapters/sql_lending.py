"""Lendings in the bridge's database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Table, delete, select

from bridge.adapters.rows import Rows
from bridge.adapters.tables import _key, _time, metadata
from bridge.model.lending import Lending
from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

_lendings: Final = Table("bridge_lendings", metadata, _key("taker"), _key("giver"), _time("since"))


class LendingRows(Rows):
    """Implements `bridge.ports.lending.Lendings`."""

    async def put_lending(self, lending: Lending) -> None:
        row = {"giver": lending.giver, "taker": lending.taker, "since": numeric_date(lending.since)}
        await insert_if_absent(self._do, _lendings, row)

    async def remove_lending(self, giver: str, taker: str) -> bool:
        one = (_lendings.c.giver == giver) & (_lendings.c.taker == taker)
        return bool((await self._do.execute(delete(_lendings).where(one))).rowcount)

    async def lendings(self) -> Sequence[Lending]:
        rows = await self._rows(_lendings)
        found = [Lending(**{**row, "since": from_numeric_date(row["since"])}) for row in rows]
        return sorted(found, key=lambda one: (one.giver, one.taker))

    async def lenders_to(self, taker: str) -> frozenset[str]:
        query = select(_lendings.c.giver).where(_lendings.c.taker == taker)
        return frozenset((await self._do.execute(query)).scalars())
