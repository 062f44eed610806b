"""Consents in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Table, delete, insert, select, update

from bridge.adapters.rows import Rows
from bridge.adapters.sql_backchannel import askings
from bridge.adapters.tables import _key, _owner, _text, _time, codes, metadata
from bridge.model.consents import Consent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

consents: Final = Table(
    "bridge_consents",
    metadata,
    _key("id"),
    _owner(),
    _text("content"),
    _text("receipt"),
    _time("given"),
    _time("expires"),
    Column("withdrawn", BigInteger),
)
_COLUMNS: Final = ("id", "username", "given", "expires", "withdrawn")


class ConsentRows(Rows):
    """Implements `bridge.ports.consents.Consents`."""

    async def add_consent(self, consent: Consent, *, receipt: str) -> None:
        names = [name for name in Consent.__slots__ if name not in _COLUMNS]
        content = {name: getattr(consent, name) for name in names}
        values = {
            "id": consent.id,
            "username": consent.username,
            "content": json.dumps({**content, "scopes": dict(consent.scopes)}),
            "receipt": receipt,
            "given": numeric_date(consent.given),
            "expires": numeric_date(consent.expires),
        }
        await self._do.execute(insert(consents).values(values))

    async def consents(self, username: str, *, limit: int) -> Sequence[Consent]:
        query = select(consents).where(consents.c.username == username)
        newest = query.order_by(consents.c.given.desc(), consents.c.id).limit(limit)
        return [_consent(row) for row in (await self._do.execute(newest)).mappings()]

    async def receipt(self, username: str, consent_id: str) -> str | None:
        theirs = (consents.c.username == username) & (consents.c.id == consent_id)
        return (await self._do.execute(select(consents.c.receipt).where(theirs))).scalar_one_or_none()

    async def consent(self, consent_id: str) -> Consent | None:
        rows = await self._rows(consents, consents.c.id == consent_id)
        return _consent(rows[0]) if rows else None

    async def follow_consent(self, consent_id: str, *, agent: str, client_id: str) -> bool:
        standing = (consents.c.id == consent_id) & consents.c.withdrawn.is_(None)
        found = (await self._do.execute(select(consents.c.content).where(standing))).scalar_one_or_none()
        if found is None:
            return False
        content = json.dumps({**json.loads(found), "agent": agent, "client_id": client_id})
        return bool((await self._do.execute(update(consents).where(standing).values(content=content))).rowcount)

    async def withdraw(self, username: str, consent_id: str, *, now: datetime) -> bool:
        theirs = (consents.c.username == username) & (consents.c.id == consent_id) & consents.c.withdrawn.is_(None)
        changed = await self._do.execute(update(consents).where(theirs).values(withdrawn=numeric_date(now)))
        if not changed.rowcount:
            return False
        await self._do.execute(delete(codes).where(codes.c.digest == consent_id))
        await self._do.execute(delete(askings).where(askings.c.digest == consent_id))
        return True


def _consent(row: Mapping[Any, Any]) -> Consent:
    withdrawn = row["withdrawn"]
    return Consent(
        id=row["id"],
        username=row["username"],
        given=from_numeric_date(row["given"]),
        expires=from_numeric_date(row["expires"]),
        withdrawn=None if withdrawn is None else from_numeric_date(withdrawn),
        **json.loads(row["content"]),
    )
