"""Rows in and out of the bridge's tables: what every topic's part of the store stands on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from did_agent.encoding import base64url


class Rows:
    """One transaction's connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._do = connection
        self.flips = 0  # places in status lists this transaction changed

    async def _rows(self, table: Table, *conditions: Any) -> list[dict[str, Any]]:
        query = select(table).where(*conditions).order_by(*table.primary_key.columns)
        return [dict(row) for row in (await self._do.execute(query)).mappings()]

    async def _put(self, key: Column[str], value: str, values: Mapping[str, object]) -> None:
        if not (await self._do.execute(update(key.table).where(key == value).values(**values))).rowcount:
            await self._do.execute(insert(key.table).values({key.name: value, **values}))


def digest_of(text: str) -> str:
    """Return the key that stands for `text` in a table: of fixed length, and telling nothing of a secret."""
    return base64url.encode(hashlib.sha256(text.encode()).digest())
