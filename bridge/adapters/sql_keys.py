"""Signing keys in the bridge's database; private halves are sealed by their provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, String, Table, UniqueConstraint, select, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import _key, _text, metadata
from bridge.model.keys import SigningKeyRecord
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

signing_keys: Final = Table(
    "bridge_signing_keys",
    metadata,
    _key("kid"),
    Column("algorithm", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    _text("public"),
    _text("provider"),
    _text("sealed"),
    Column("activates", BigInteger, nullable=False),
    Column("replaced", BigInteger),
    Column("revoked", BigInteger),
    UniqueConstraint("algorithm", "generation"),
)
_MOMENTS: Final = ("activates", "replaced", "revoked")


class SigningKeyRows(Rows):
    """Implements `bridge.ports.keys.SigningKeys`."""

    async def signing_keys(self) -> Sequence[SigningKeyRecord]:
        query = select(signing_keys).order_by(signing_keys.c.algorithm, signing_keys.c.generation)
        return [_record(row) for row in (await self._do.execute(query)).mappings()]

    async def add_signing_key(self, record: SigningKeyRecord) -> bool:
        values = {name: getattr(record, name) for name in ("kid", "algorithm", "generation", "provider", "sealed")}
        row = {**values, "public": json.dumps(dict(record.public)), **_moments(record)}
        return await sql.insert_if_absent(self._do, signing_keys, row)

    async def move_signing_key(self, before: SigningKeyRecord, after: SigningKeyRecord) -> bool:
        table = signing_keys
        unchanged = [table.c[name].is_not_distinct_from(value) for name, value in _moments(before).items()]
        moved = update(table).where(table.c.kid == before.kid, *unchanged).values(**_moments(after))
        return bool((await self._do.execute(moved)).rowcount)


def _moments(record: SigningKeyRecord) -> dict[str, int | None]:
    found: dict[str, datetime | None] = {name: getattr(record, name) for name in _MOMENTS}
    return {name: None if moment is None else numeric_date(moment) for name, moment in found.items()}


def _record(row: Mapping[Any, Any]) -> SigningKeyRecord:
    moments = {name: None if row[name] is None else from_numeric_date(row[name]) for name in _MOMENTS}
    return SigningKeyRecord(**{**row, "public": json.loads(row["public"]), **moments})
