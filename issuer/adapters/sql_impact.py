"""How far a change would reach, in SQL, before it is made."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from did_agent.clock import numeric_date
from did_agent.credential.model import parse_capability_credential
from issuer.adapters.rows import Rows
from issuer.adapters.sql_grants import line_of
from issuer.adapters.sql_switches import reached
from issuer.adapters.tables import agents, delegations, grants
from issuer.model import Agent
from issuer.model.registry import Impact, Scope

_READ: Final = 200  # credentials whose tools are named, the newest
_NAMED: Final = 100  # tools, and resources, of one answer


class ImpactRows(Rows):
    """Implements the looking-ahead part of `issuer.ports.registry.SwitchWork`."""

    async def impact_of_agent(self, agent: Agent, *, now: datetime) -> Impact:
        """Return what the end of an agent ends."""
        this = and_(agents.c.organisation == agent.organisation, agents.c.agent_id == agent.agent_id)
        return await self._impact(agent.organisation, this, now)

    async def impact_of_switch(self, scope: Scope, target: str, *, organisation: str, now: datetime) -> Impact:
        """Return what a switch would end."""
        running = and_(reached(scope, target, organisation), agents.c.state == "active")
        return await self._impact(organisation, running, now)

    async def impact_of_credential(self, identifier: str, *, organisation: str, now: datetime) -> Impact:
        """Return what the end of a credential ends: all of its line, or what was made from a delegation."""
        line = line_of(identifier, organisation)
        live = and_(line, _live(grants, now))
        ours = delegations.c.organisation == organisation
        below = select(delegations.c.id, delegations.c.revoked, delegations.c.valid_until).where(ours)
        of_line = delegations.c.parent_id.in_(select(grants.c.id).where(line))
        first = below.where(or_(delegations.c.parent_id == identifier, of_line)).cte("tree", recursive=True)
        tree = first.union(below.where(delegations.c.parent_id == first.c.id))
        held = await self._count(select(grants.c.id).where(live))
        children = await self._count(select(tree.c.id).where(_live(tree, now)))
        tools, resources, is_partial = await self._named(live)
        return Impact(
            agents=0,
            credentials=held,
            children=children,
            status_entries=held + children,
            tools=tools,
            resources=resources,
            is_partial=is_partial,
        )

    async def _impact(self, organisation: str, which: ColumnElement[bool], now: datetime) -> Impact:
        ids = select(agents.c.agent_id).where(which, agents.c.state != "retired")
        held = and_(grants.c.organisation == organisation, grants.c.agent_id.in_(ids), _live(grants, now))
        ours = and_(delegations.c.organisation == organisation, _live(delegations, now))
        known = or_(delegations.c.agent_id.in_(ids), delegations.c.subject_id.in_(ids))
        credentials = await self._count(select(grants.c.id).where(held))
        given = await self._count(select(delegations.c.id).where(ours, delegations.c.subject_id.in_(ids)))
        tools, resources, is_partial = await self._named(held)
        return Impact(
            agents=await self._count(ids),
            credentials=credentials,
            children=await self._count(select(delegations.c.id).where(ours, known)),
            status_entries=credentials + given,
            tools=tools,
            resources=resources,
            is_partial=is_partial,
        )

    async def _count(self, query: Select[Any]) -> int:
        return int((await self._do.execute(select(func.count()).select_from(query.subquery()))).scalar_one())

    async def _named(self, held: ColumnElement[bool]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        newest = select(grants.c.document).where(held).order_by(grants.c.issued.desc(), grants.c.id).limit(_READ)
        tools, resources = set[str](), set[str]()
        documents = list((await self._do.execute(newest)).scalars())
        for document in documents:
            for capability in parse_capability_credential(json.loads(document)).capabilities:
                tools.update(capability.tools)
                resources.update(capability.resources)
        is_partial = len(documents) == _READ or max(len(tools), len(resources)) > _NAMED
        return tuple(sorted(tools)[:_NAMED]), tuple(sorted(resources)[:_NAMED]), is_partial


def _live(table: Any, now: datetime) -> ColumnElement[bool]:
    return and_(table.c.revoked.is_(None), table.c.valid_until > numeric_date(now))
