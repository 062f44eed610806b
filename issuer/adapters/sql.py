"""The issuer's store in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters import outbox as outboxes
from did_agent.adapters.sql import spend, transaction
from did_agent.audit.event import AuditEvent
from issuer.adapters.sql_agents import AgentRows
from issuer.adapters.sql_grants import GrantRows
from issuer.adapters.sql_notices import NoticeRows
from issuer.adapters.sql_status import StatusRows
from issuer.adapters.tables import metadata, outbox, single_use

__all__ = ["SQLStore", "SQLWork", "metadata", "outbox"]


class SQLStore:
    """Opens transactions on the issuer's tables; implements `issuer.ports.Store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def work(self) -> AsyncIterator[SQLWork]:
        """Open one.  Raises: StoreUnavailable."""
        async with transaction(self._engine) as connection:
            yield SQLWork(connection)


class SQLWork(AgentRows, GrantRows, StatusRows, NoticeRows):
    """One transaction; implements `issuer.ports.Work`."""

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend a single-use value; True the first time, False ever after."""
        return await spend(self._do, single_use, purpose, key, expires)

    async def record(self, event: AuditEvent) -> None:
        """Queue an audit event for the ledger."""
        await outboxes.record(self._do, outbox, event)
