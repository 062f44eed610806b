"""Whom an organisation trusts, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, delete, insert, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.tokens.trust_list import entry_from_json, entry_to_json
from issuer.adapters.rows import Rows
from issuer.adapters.tables import metadata
from issuer.model.trust import TrustLine

trust_versions: Final = Table(
    "issuer_trust_versions",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)
trust_lines: Final = Table(
    "issuer_trust_lines",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),  # of the list that had it first
    Column("entry", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("added_by", Text, nullable=False),
    Index("issuer_trust_lines_order", "organisation", "version"),
)
did_web: Final = Table(
    "issuer_did_web",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("agent_id", String(64), primary_key=True),
    Column("published", BigInteger, nullable=False),
    Index("issuer_did_web_agent", "agent_id"),
)


class TrustRows(Rows):
    """Implements `issuer.ports.trust.TrustWork`."""

    async def raise_trust_version(self, organisation: str) -> int:
        """Return the next version; the row is held until the transaction ends."""
        await insert_if_absent(self._do, trust_versions, {"organisation": organisation, "version": 0})
        raised = update(trust_versions).where(trust_versions.c.organisation == organisation)
        raised = raised.values(version=trust_versions.c.version + 1).returning(trust_versions.c.version)
        return int((await self._do.execute(raised)).scalar_one())

    async def trust_version(self, organisation: str) -> int:
        """Return the version of an organisation's list."""
        query = select(trust_versions.c.version).where(trust_versions.c.organisation == organisation)
        return int((await self._do.execute(query)).scalar_one_or_none() or 0)

    async def add_trust(self, line: TrustLine) -> None:
        """Add a line."""
        row = {
            "organisation": line.organisation,
            "id": line.entry.id,
            "version": await self.trust_version(line.organisation),
            "entry": canonicalize(entry_to_json(line.entry)).decode(),
            "note": line.note,
            "added": numeric_date(line.added),
            "added_by": line.added_by,
        }
        await self._do.execute(insert(trust_lines).values(row))

    async def remove_trust(self, identifier: str, *, organisation: str) -> TrustLine | None:
        """Delete a line and return it."""
        found = await self.trust_line(identifier, organisation=organisation)
        mine = (trust_lines.c.organisation == organisation) & (trust_lines.c.id == identifier)
        gone = (await self._do.execute(delete(trust_lines).where(mine).returning(trust_lines.c.id))).scalars().all()
        return found if gone else None

    async def trust_line(self, identifier: str, *, organisation: str) -> TrustLine | None:
        """Return a line."""
        mine = (trust_lines.c.organisation == organisation) & (trust_lines.c.id == identifier)
        found = (await self._do.execute(select(trust_lines).where(mine))).one_or_none()
        return None if found is None else _line(found)

    async def trust_lines(self, organisation: str) -> Sequence[TrustLine]:
        """Return all lines, in the order they were added."""
        query = select(trust_lines).where(trust_lines.c.organisation == organisation)
        return [_line(row) for row in (await self._do.execute(query.order_by(trust_lines.c.version))).all()]

    async def publish_did_web(self, agent_id: str, *, organisation: str, now: datetime) -> None:
        """Publish an agent's DID document."""
        row = {"organisation": organisation, "agent_id": agent_id, "published": numeric_date(now)}
        await insert_if_absent(self._do, did_web, row)

    async def withdraw_did_web(self, agent_id: str, *, organisation: str) -> bool:
        """Publish it no more."""
        mine = (did_web.c.organisation == organisation) & (did_web.c.agent_id == agent_id)
        gone = await self._do.execute(delete(did_web).where(mine).returning(did_web.c.agent_id))
        return bool(gone.scalars().all())

    async def has_did_web(self, agent_id: str) -> bool:
        """Tell whether an agent's DID document is published."""
        query = select(did_web.c.agent_id).where(did_web.c.agent_id == agent_id)
        return (await self._do.execute(query)).first() is not None


def _line(row: Any) -> TrustLine:
    return TrustLine(
        organisation=row.organisation,
        entry=entry_from_json(parse_object(row.entry)),
        note=row.note,
        added=from_numeric_date(row.added),
        added_by=row.added_by,
    )
