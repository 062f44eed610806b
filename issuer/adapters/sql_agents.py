"""Agents and their invitations in SQL."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.agent_records import (
    pass_switches,
    require_running,
    state_change,
    write_history,
    write_labels,
)
from issuer.adapters.rows import Rows
from issuer.adapters.tables import agents, metadata
from issuer.model import Agent, Enrolment

enrolments: Final = Table(
    "issuer_enrolments",
    metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("challenge_digest", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
)


class AgentRows(Rows):
    """Implements `issuer.ports.agents.AgentWork`."""

    async def add_agent(self, agent: Agent, enrolment: Enrolment, *, skeleton: str, by: str = "") -> None:
        """Add a pending agent.  Raises: StateConflict when its organisation has a name like it."""
        if not await insert_if_absent(self._do, agents, agent_row(agent, skeleton=skeleton)):
            raise StateConflict(f"an agent with a name like {agent.name} exists")
        await self._do.execute(insert(enrolments).values(enrolment_row(enrolment)))
        await write_labels(self._do, [agent], fresh=True)
        await write_history(self._do, [state_change(agent, None, by=by, reason="registered", at=agent.created)])

    async def agent(self, identifier: str, *, organisation: str | None, hold: bool = True) -> Agent | None:
        """Return the agent with this `agent_id` or DID, held until the transaction ends unless it is only looked at."""
        column = agents.c.did if identifier.startswith("did:") else agents.c.agent_id
        query = select(agents).where(column == identifier)
        if organisation is not None:
            query = query.where(agents.c.organisation == organisation)
        if hold:
            await pass_switches(self._do)
            query = query.with_for_update()
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else agent_of(found)

    async def change_agent(self, agent: Agent, *, by: str = "", reason: str = "") -> None:
        """Store state, DID and time of change, and the change of state in the history.

        Raises: StateConflict when the DID belongs to another agent, the lifecycle has no such change, or a kill switch
        keeps the agent from being active.
        """
        await self._enter(agent, by=by, reason=reason)
        values = {"state": agent.state, "did": agent.did, "changed": numeric_date(agent.changed)}
        key = (agents.c.organisation == agent.organisation) & (agents.c.agent_id == agent.agent_id)
        try:
            await self._do.execute(update(agents).where(key).values(values))
        except IntegrityError as error:
            raise StateConflict("this key belongs to another agent") from error

    async def _enter(self, agent: Agent, *, by: str, reason: str) -> None:
        """Keep the change of state, if it is one that may be."""
        await pass_switches(self._do)
        key = (agents.c.organisation == agent.organisation) & (agents.c.agent_id == agent.agent_id)
        before = (await self._do.execute(select(agents.c.state).where(key).with_for_update())).scalar_one_or_none()
        if before in (None, agent.state):
            return
        happening = state_change(agent, before, by=by, reason=reason, at=agent.changed)
        if agent.state == "active":
            await require_running(self._do, agent)
        await write_history(self._do, [happening])

    async def renew_enrolment(self, enrolment: Enrolment) -> None:
        """Invite an agent anew; an invitation it has is void."""
        await self._do.execute(delete(enrolments).where(enrolments.c.agent_id == enrolment.agent_id))
        await self._do.execute(insert(enrolments).values(enrolment_row(enrolment)))

    async def spend_enrolment(self, agent_id: str, challenge_digest: str, now: datetime) -> bool:
        """Spend the invitation; False when it is unknown, spent or over."""
        spent = await self._do.execute(
            delete(enrolments).where(
                enrolments.c.agent_id == agent_id,
                enrolments.c.challenge_digest == challenge_digest,
                enrolments.c.expires > numeric_date(now),
            )
        )
        return bool(spent.rowcount == 1)


def enrolment_row(enrolment: Enrolment) -> dict[str, Any]:
    """Return the row of an invitation."""
    return {
        "agent_id": enrolment.agent_id,
        "challenge_digest": enrolment.challenge_digest,
        "expires": numeric_date(enrolment.expires),
    }


def agent_row(agent: Agent, *, skeleton: str) -> dict[str, Any]:
    """Return the row of an agent."""
    return {
        "organisation": agent.organisation,
        "agent_id": agent.agent_id,
        "skeleton": skeleton,
        "did": agent.did,
        "name": agent.name,
        "state": agent.state,
        "sponsor": agent.sponsor,
        "owner": agent.owner,
        "description": agent.description,
        "metadata": json.dumps(dict(agent.metadata)),
        "redirect_uris": json.dumps(agent.redirect_uris),
        "tags": json.dumps(agent.tags),
        "groups": json.dumps(agent.groups),
        "template": agent.template,
        "custody": agent.custody,
        "created": numeric_date(agent.created),
        "changed": numeric_date(agent.changed),
    }


def agent_of(row: Any) -> Agent:
    """Return the agent of a row."""
    return Agent(
        organisation=row.organisation,
        agent_id=row.agent_id,
        name=row.name,
        sponsor=row.sponsor,
        owner=row.owner,
        description=row.description,
        metadata=json.loads(row.metadata),
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        tags=tuple(json.loads(row.tags)),
        groups=tuple(json.loads(row.groups)),
        template=row.template,
        custody=row.custody,
        state=row.state,
        did=row.did,
        created=from_numeric_date(row.created),
        changed=from_numeric_date(row.changed),
    )
