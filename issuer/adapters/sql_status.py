"""Status lists in SQL; one flip of a status bit is one row."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from did_agent.credential.status import Purpose
from issuer.adapters.rows import Rows
from issuer.adapters.tables import agents, grants


class StatusRows(Rows):
    """Implements `issuer.ports.status.StatusWork`."""

    async def next_list(self, capacity: int) -> int:
        """Return the number of the status list that still has room."""
        count = (await self._do.execute(select(func.count()).select_from(grants))).scalar_one()
        return int(count) // capacity + 1

    async def set_bits(self, purpose: Purpose, number: int) -> Sequence[int]:
        """Return the indices that are set in a status list."""
        query = select(grants.c.list_index).where(grants.c.list_number == number)
        if purpose == "revocation":
            query = query.where(grants.c.revoked.is_not(None))
        else:
            ended = agents.c.state.in_(("suspended", "retired"))
            query = query.join(agents, agents.c.agent_id == grants.c.agent_id).where(ended)
        return list((await self._do.execute(query)).scalars())
