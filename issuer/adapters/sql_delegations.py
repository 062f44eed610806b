"""Delegations in SQL; a whole subtree is revoked by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.sql_status import StatusRows
from issuer.adapters.tables import agents, delegations
from issuer.model.status import Delegation, Place


class DelegationRows(StatusRows):
    """Implements `issuer.ports.delegations.DelegationWork`, on the lists that its rows have places in."""

    async def add_delegation(self, delegation: Delegation) -> bool:
        """Add a delegation; False when its id is taken."""
        row = {
            "organisation": delegation.organisation,
            "id": delegation.id,
            "agent_id": delegation.agent_id,
            "delegator": delegation.delegator,
            "parent_id": delegation.parent_id,
            "subject": delegation.subject,
            "subject_id": delegation.subject_id,
            "depth": delegation.depth,
            "max_depth": delegation.max_depth,
            "valid_until": numeric_date(delegation.valid_until),
            "list_number": delegation.place.list_number,
            "list_index": delegation.place.index,
            "created": numeric_date(delegation.created),
        }
        return await insert_if_absent(self._do, delegations, row)

    async def delegation(self, identifier: str, *, organisation: str) -> Delegation | None:
        """Return a delegation."""
        mine = (delegations.c.organisation == organisation) & (delegations.c.id == identifier)
        found = (await self._do.execute(select(delegations).where(mine))).one_or_none()
        return None if found is None else _delegation(found)

    async def delegations(
        self,
        *,
        organisation: str,
        agent_id: str | None,
        subject_id: str | None = None,
        parent_id: str | None,
        owner: str | None,
        after: str,
        limit: int,
    ) -> Sequence[Delegation]:
        """Return delegations in the order of their ids."""
        query = select(delegations).where(delegations.c.organisation == organisation, delegations.c.id > after)
        if agent_id is not None:
            query = query.where(delegations.c.agent_id == agent_id)
        if subject_id is not None:
            query = query.where(delegations.c.subject_id == subject_id)
        if parent_id is not None:
            query = query.where(delegations.c.parent_id == parent_id)
        if owner is not None:
            own = (agents.c.organisation == organisation) & (agents.c.owner == owner)
            query = query.where(delegations.c.agent_id.in_(select(agents.c.agent_id).where(own)))
        rows = (await self._do.execute(query.order_by(delegations.c.id).limit(limit))).all()
        return [_delegation(row) for row in rows]

    async def count_delegations(self, agent_id: str, *, organisation: str, since: datetime) -> int:
        """Return how many delegations an agent registered since a moment."""
        mine = (delegations.c.organisation == organisation) & (delegations.c.agent_id == agent_id)
        recent = mine & (delegations.c.created > numeric_date(since))
        return int((await self._do.execute(select(func.count()).select_from(delegations).where(recent))).scalar_one())

    async def revoke_delegations(self, identifier: str, *, organisation: str, now: datetime) -> Sequence[str]:
        """Revoke everything that was made from a credential, however indirectly."""
        ours = delegations.c.organisation == organisation
        first = (delegations.c.id == identifier) | (delegations.c.parent_id == identifier)
        tree = select(delegations.c.id).where(ours, first).cte("tree", recursive=True)
        tree = tree.union(select(delegations.c.id).where(ours, delegations.c.parent_id == tree.c.id))
        live = ours & delegations.c.revoked.is_(None) & (delegations.c.valid_until > numeric_date(now))
        ended = update(delegations).where(live, delegations.c.id.in_(select(tree.c.id)))
        ended = ended.values(revoked=numeric_date(now)).returning(delegations.c.id)
        found = list((await self._do.execute(ended)).scalars())
        await self.flip_delegations(found, "revocation", value=True)
        return found


def _delegation(row: Any) -> Delegation:
    return Delegation(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        delegator=row.delegator,
        parent_id=row.parent_id,
        subject=row.subject,
        subject_id=row.subject_id,
        depth=row.depth,
        max_depth=row.max_depth,
        valid_until=from_numeric_date(row.valid_until),
        place=Place(list_number=row.list_number, index=row.list_index),
        created=from_numeric_date(row.created),
        revoked=None if row.revoked is None else from_numeric_date(row.revoked),
    )
