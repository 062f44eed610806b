"""What the bridge must hear, in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from did_agent.adapters.sql import insert_many
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows
from issuer.adapters.tables import notices
from issuer.model import Notice


class NoticeRows(Rows):
    """Implements `issuer.ports.notices.NoticeWork`."""

    async def add_notice(self, notice: Notice) -> None:
        """Queue what the bridge must hear."""
        await self.add_notices([notice])

    async def add_notices(self, waiting: Sequence[Notice]) -> None:
        """Queue many."""
        rows = [
            {"id": one.id, "kind": one.kind, "subject": one.subject, "reason": one.reason, "at": numeric_date(one.at)}
            for one in waiting
        ]
        await insert_many(self._do, notices, rows)

    async def notices(self, limit: int) -> Sequence[Notice]:
        """Return what the bridge has not confirmed, oldest first."""
        query = select(notices).order_by(notices.c.seq).limit(limit)
        return [
            Notice(id=row.id, kind=row.kind, subject=row.subject, reason=row.reason, at=from_numeric_date(row.at))
            for row in (await self._do.execute(query)).all()
        ]

    async def remove_notices(self, identifiers: Sequence[str]) -> None:
        """Forget what the bridge has confirmed."""
        await self._do.execute(delete(notices).where(notices.c.id.in_(identifiers)))
