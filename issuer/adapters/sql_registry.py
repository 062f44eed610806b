"""Agents looked for and described, and their histories, in SQL.

Each filter has an index that ends in the order of the page, so a page costs the rows it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError

from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.agent_records import require_running, write_history, write_labels
from issuer.adapters.registry_tables import history
from issuer.adapters.rows import Rows
from issuer.adapters.sql_agents import agent_of, agent_row
from issuer.adapters.tables import agents, labels
from issuer.model import Agent
from issuer.model.registry import Happening, Search

_LAST = "\U0010ffff"  # greater than every character of a name
_DESCRIBED = ("skeleton", "name", "sponsor", "owner", "description", "metadata", "redirect_uris", "tags", "groups")


class RegistryRows(Rows):
    """Implements the searching part of `issuer.ports.registry.RegistryWork`."""

    async def search(self, search: Search, *, after: str, limit: int) -> Sequence[Agent]:
        """Return agents that fit, in the order of their names where a prefix is asked for, else of their ids."""
        query, order = _matching(search, select(agents))
        query = query.where(order > after).order_by(order).limit(limit)
        return [agent_of(row) for row in (await self._do.execute(query)).all()]

    async def count(self, search: Search, *, most: int) -> int:
        """Return how many fit, counted up to `most`."""
        query, _ = _matching(search, select(agents.c.agent_id))
        bounded = query.limit(most).subquery()
        return int((await self._do.execute(select(func.count()).select_from(bounded))).scalar_one())

    async def describe_agent(self, agent: Agent, *, skeleton: str) -> None:
        """Store all that is said of an agent, its owner included.

        Raises: StateConflict when another has a name like it, or a switch covers what it would become.
        """
        if agent.state == "active":
            await require_running(self._do, agent)
        row = agent_row(agent, skeleton=skeleton)
        key = (agents.c.organisation == agent.organisation) & (agents.c.agent_id == agent.agent_id)
        values = {name: row[name] for name in (*_DESCRIBED, "changed")}
        try:
            await self._do.execute(update(agents).where(key).values(values))
        except IntegrityError as error:
            raise StateConflict(f"an agent with a name like {agent.name} exists") from error
        await write_labels(self._do, [agent])

    async def add_history(self, happening: Happening) -> None:
        """Keep what happened."""
        await write_history(self._do, [happening])

    async def history(self, agent: Agent, *, after: int, limit: int) -> Sequence[Happening]:
        """Return what happened to an agent, the newest first, before the place `after` (0: from now)."""
        query = select(history).where(
            history.c.organisation == agent.organisation, history.c.agent_id == agent.agent_id
        )
        if after:
            query = query.where(history.c.seq < after)
        rows = (await self._do.execute(query.order_by(history.c.seq.desc()).limit(limit))).all()
        return [_happening(row) for row in rows]

    async def handed_over(self, agent: Agent) -> datetime | None:
        """Return when an agent was last given to another owner; None when it never was."""
        ours = (history.c.organisation == agent.organisation) & (history.c.agent_id == agent.agent_id)
        query = select(func.max(history.c.at)).where(ours, history.c.event == "transfer")
        last = (await self._do.execute(query)).scalar_one()
        return None if last is None else from_numeric_date(last)


def _matching(search: Search, query: Select[Any]) -> tuple[Select[Any], Any]:
    """Return the query narrowed to what fits, and the column that its pages are in the order of."""
    query = query.where(agents.c.organisation == search.organisation)
    for column, value in (
        (agents.c.name, search.name),
        (agents.c.state, search.state),
        (agents.c.sponsor, search.sponsor),
        (agents.c.owner, search.owner),
        (agents.c.owner, search.own),
        (agents.c.template, search.template),
        (agents.c.did, search.did),
    ):
        if value is not None:
            query = query.where(column == value)
    if search.prefix is not None:
        query = query.where(agents.c.skeleton >= search.prefix, agents.c.skeleton < search.prefix + _LAST)
    order: Any = agents.c.agent_id
    wanted = [("tag", search.tag), ("group", search.group), *(("word", word) for word in search.words)]
    for kind, label in wanted:
        if label is not None:
            found = labels.alias()
            query = query.join(found, found.c.agent_id == agents.c.agent_id).where(
                found.c.organisation == search.organisation, found.c.kind == kind, found.c.value == label
            )
            order = found.c.agent_id
    return query, agents.c.skeleton if search.prefix is not None else order


def _happening(row: Any) -> Happening:
    return Happening(
        organisation=row.organisation,
        agent_id=row.agent_id,
        event=row.event,
        before=row.before,
        after=row.after,
        actor=row.actor,
        reason=row.reason,
        at=from_numeric_date(row.at),
        seq=row.seq,
    )
