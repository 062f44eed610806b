"""Credentials that the VC-API issued, with their status, beside the issuer's own tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.sql import insert_if_absent, transaction


class VCStore:
    """Keeps what the VC-API issued; a status bit is one column of one row."""

    def __init__(self, engine: AsyncEngine, metadata: MetaData) -> None:
        self._engine = engine
        self._table = table(metadata)

    async def add(self, name: str, document: Mapping[str, object], index: int | None) -> bool:
        """Keep a credential; False when its name or its status index is taken."""
        row: dict[str, Any] = {
            "name": name,
            "document": json.dumps(document),
            "list_index": index,
            "revocation": False,
            "suspension": False,
        }
        async with transaction(self._engine) as connection:
            return await insert_if_absent(connection, self._table, row)

    async def find(self, name: str) -> Mapping[str, object] | None:
        """Return a credential by its name."""
        query = select(self._table.c.document).where(self._table.c.name == name)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else json.loads(found)

    async def set_status(self, name: str, purpose: str, *, value: bool) -> bool:
        """Set one status of a credential; False when there is no such credential with a status."""
        kept = (self._table.c.name == name) & self._table.c.list_index.is_not(None)
        async with transaction(self._engine) as connection:
            done = await connection.execute(update(self._table).where(kept).values({purpose: value}))
        return bool(done.rowcount == 1)

    async def set_bits(self, purpose: str) -> Sequence[int]:
        """Return the indices that are set in the list of a purpose."""
        query = select(self._table.c.list_index).where(self._table.c[purpose].is_(True))
        async with transaction(self._engine) as connection:
            return list((await connection.execute(query)).scalars())


def table(metadata: MetaData) -> Table:
    """Return the table of the VC-API, made part of `metadata` on first use."""
    found = metadata.tables.get("issuer_vc_api")
    return (
        found
        if found is not None
        else Table(
            "issuer_vc_api",
            metadata,
            Column("name", String(256), primary_key=True),
            Column("document", Text, nullable=False),
            Column("list_index", Integer, unique=True),
            Column("revocation", Boolean, nullable=False),
            Column("suspension", Boolean, nullable=False),
        )
    )
