"""What witnesses signed, in SQL: one line of each witness for each state of the log, the newest it sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, String, Table, Text, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.sql import insert_if_absent, transaction
from did_agent.audit.cosignature import MAX_NAME
from did_agent.clock import numeric_date
from ledger.adapters.tables import metadata

cosignatures: Final = Table(
    "ledger_cosignatures",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", String(MAX_NAME), primary_key=True),
    Column("line", Text, nullable=False),
    Column("made", BigInteger, nullable=False),
)


async def lines_between(connection: AsyncConnection, first: int, last: int) -> Mapping[int, Sequence[str]]:
    """Return the lines under each state of more than `first` and at most `last` rows."""
    query = select(cosignatures).where(cosignatures.c.size > first, cosignatures.c.size <= last)
    found: dict[int, list[str]] = {}
    for row in (await connection.execute(query.order_by(cosignatures.c.size, cosignatures.c.witness))).all():
        found.setdefault(int(row.size), []).append(str(row.line))
    return found


class SQLCosignatures:
    """Implements `ledger.ports.Cosignatures`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, size: int, witness: str, line: str, *, now: datetime) -> None:
        """Keep a line; the witness's earlier one for this state goes."""
        said = {"line": line, "made": numeric_date(now)}
        place = (cosignatures.c.size == size) & (cosignatures.c.witness == witness)
        async with transaction(self._engine) as connection:
            if not await insert_if_absent(connection, cosignatures, {"size": size, "witness": witness, **said}):
                await connection.execute(update(cosignatures).where(place).values(**said))

    async def of(self, size: int) -> Sequence[str]:
        """Return the lines under one state, by the names of the witnesses."""
        query = select(cosignatures.c.line).where(cosignatures.c.size == size).order_by(cosignatures.c.witness)
        async with transaction(self._engine) as connection:
            return [str(line) for line in (await connection.execute(query)).scalars()]

    async def newest(self, least: int | None = None) -> int | None:
        """Return the largest state that a witness signed; with `least` rows or more, the one most of them signed."""
        query = select(cosignatures.c.size).order_by(cosignatures.c.size.desc()).limit(1)
        if least is not None:
            most = select(cosignatures.c.size).where(cosignatures.c.size >= least).group_by(cosignatures.c.size)
            query = most.order_by(func.count().desc(), cosignatures.c.size.desc()).limit(1)
        async with transaction(self._engine) as connection:
            return (await connection.execute(query)).scalar_one_or_none()
