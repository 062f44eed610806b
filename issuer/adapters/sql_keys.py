"""Agents' keys in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, and_, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.rows import Rows
from issuer.adapters.tables import metadata
from issuer.model import Agent
from issuer.model.keys import AgentKey, KeyEnd

_keys: Final = Table(
    "issuer_agent_keys",
    metadata,
    Column("did", String(256), primary_key=True),  # over all organisations: one agent holds a key, once
    Column("organisation", String(64), nullable=False),
    Column("agent_id", String(64), nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("why", String(16)),
    Column("statement", Text),
    Index("issuer_agent_keys_agent", "organisation", "agent_id", "added"),
)


class KeyRows(Rows):
    """Implements `issuer.ports.keys.KeyWork`."""

    async def add_key(self, key: AgentKey) -> None:
        """Keep a key.  Raises: StateConflict when it was some agent's before."""
        row = {
            "did": key.did,
            "organisation": key.organisation,
            "agent_id": key.agent_id,
            "added": numeric_date(key.added),
            "statement": key.statement,
        }
        if not await insert_if_absent(self._do, _keys, row):
            raise StateConflict("this key belongs or belonged to an agent")

    async def end_key(self, agent: Agent, did: str, *, why: KeyEnd, now: datetime) -> None:
        """Say that a key counts no more; one that ended before stays as it is."""
        own = and_(_keys.c.organisation == agent.organisation, _keys.c.agent_id == agent.agent_id)
        live = and_(own, _keys.c.did == did, _keys.c.ended.is_(None))
        await self._do.execute(update(_keys).where(live).values(ended=numeric_date(now), why=why))

    async def key(self, did: str) -> AgentKey | None:
        """Return a key that some agent has or had, of whatever organisation."""
        found = (await self._do.execute(select(_keys).where(_keys.c.did == did))).one_or_none()
        return None if found is None else _key(found)

    async def keys(self, organisation: str, agent_id: str, *, limit: int) -> Sequence[AgentKey]:
        """Return an agent's keys, the newest first."""
        own = and_(_keys.c.organisation == organisation, _keys.c.agent_id == agent_id)
        query = select(_keys).where(own).order_by(_keys.c.added.desc(), _keys.c.did).limit(limit)
        return [_key(row) for row in (await self._do.execute(query)).all()]


def _key(row: Any) -> AgentKey:
    return AgentKey(
        organisation=row.organisation,
        agent_id=row.agent_id,
        did=row.did,
        added=from_numeric_date(row.added),
        ended=None if row.ended is None else from_numeric_date(row.ended),
        why=row.why,
        statement=row.statement,
    )
