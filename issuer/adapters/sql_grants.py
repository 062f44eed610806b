"""Credentials in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows
from issuer.adapters.tables import grants
from issuer.model import Grant, GrantState


class GrantRows(Rows):
    """Implements `issuer.ports.grants.GrantWork`."""

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        return await insert_if_absent(self._do, grants, grant_row(grant))

    async def grant(self, identifier: str, *, organisation: str | None) -> Grant | None:
        """Return one credential."""
        query = select(grants).where(grants.c.id == identifier)
        if organisation is not None:
            query = query.where(grants.c.organisation == organisation)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else grant_of(found)

    async def grants(
        self, *, organisation: str, agent_id: str | None, state: GrantState | None, now: datetime, limit: int
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first."""
        query = select(grants).where(grants.c.organisation == organisation)
        query = query.order_by(grants.c.issued.desc(), grants.c.id).limit(limit)
        if agent_id is not None:
            query = query.where(grants.c.agent_id == agent_id)
        if state is not None:
            # Chosen before the limit cuts: ended credentials must not crowd out those in force.
            over, revoked = grants.c.valid_until <= numeric_date(now), grants.c.revoked.is_not(None)
            query = query.where({"revoked": revoked, "expired": ~revoked & over, "active": ~revoked & ~over}[state])
        return [grant_of(row) for row in (await self._do.execute(query)).all()]

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        condition = (grants.c.id == identifier) & grants.c.revoked.is_(None)
        done = await self._do.execute(update(grants).where(condition).values(revoked=numeric_date(now)))
        return bool(done.rowcount == 1)


def grant_row(grant: Grant) -> dict[str, Any]:
    """Return the row of a credential."""
    return {
        "organisation": grant.organisation,
        "id": grant.id,
        "agent_id": grant.agent_id,
        "did": grant.did,
        "document": json.dumps(grant.document),
        "issued": numeric_date(grant.issued),
        "valid_until": numeric_date(grant.valid_until),
        "list_number": grant.list_number,
        "list_index": grant.list_index,
    }


def grant_of(row: Any) -> Grant:
    """Return the credential of a row."""
    return Grant(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        did=row.did,
        document=json.loads(row.document),
        issued=from_numeric_date(row.issued),
        valid_until=from_numeric_date(row.valid_until),
        list_number=row.list_number,
        list_index=row.list_index,
        revoked=None if row.revoked is None else from_numeric_date(row.revoked),
    )
