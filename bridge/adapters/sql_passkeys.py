"""Passkeys in the bridge's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Table, and_, delete, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import NAME, _key, _owner, _text, _time, metadata
from bridge.model.passkeys import Passkey
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

passkeys: Final = Table(
    "bridge_passkeys",
    metadata,
    _key("id", NAME),
    _owner(),
    _text("public_key"),
    Column("signatures", BigInteger, nullable=False),
    _text("name"),
    _time("created"),
    Column("used", BigInteger),
)


class PasskeyRows(Rows):
    """Implements `bridge.ports.passkeys.Passkeys`."""

    async def passkey(self, passkey_id: str) -> Passkey | None:
        rows = await self._rows(passkeys, passkeys.c.id == passkey_id)
        return _passkey(rows[0]) if rows else None

    async def passkeys(self, username: str) -> Sequence[Passkey]:
        rows = await self._rows(passkeys, passkeys.c.username == username)
        return sorted(map(_passkey, rows), key=lambda one: (one.created, one.id))

    async def add_passkey(self, passkey: Passkey) -> bool:
        values = {name: getattr(passkey, name) for name in Passkey.__slots__}
        values |= {"created": numeric_date(passkey.created), "used": None}
        return await sql.insert_if_absent(self._do, passkeys, values)

    async def remove_passkey(self, username: str, passkey_id: str) -> bool:
        theirs = (passkeys.c.username == username) & (passkeys.c.id == passkey_id)
        return bool((await self._do.execute(delete(passkeys).where(theirs))).rowcount)

    async def use_passkey(self, passkey_id: str, *, count: int, now: datetime) -> bool:
        known = passkeys.c.signatures
        is_new = known < count if count else known == 0  # some devices do not count
        mine = and_(passkeys.c.id == passkey_id, is_new)
        values = {"signatures": count, "used": numeric_date(now)}
        return bool((await self._do.execute(update(passkeys).where(mine).values(values))).rowcount)


def _passkey(row: Mapping[str, Any]) -> Passkey:
    used = None if row["used"] is None else from_numeric_date(row["used"])
    return Passkey(**{**row, "created": from_numeric_date(row["created"]), "used": used})
