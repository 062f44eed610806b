"""What goes with every change of an agent: the labels it is found by, its history, and the switches' say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from did_agent.adapters.sql import insert_many, insert_new, pass_gate
from did_agent.clock import numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.registry_tables import history, stops, switches
from issuer.adapters.tables import labels
from issuer.description import words_of
from issuer.model import HOME, Agent, State, change_between
from issuer.model.registry import Event, Happening

GATE: Final = 7_305_804_402_566_194_530  # passed by who changes an agent, closed by who turns a switch


def label_rows(agent: Agent) -> list[dict[str, Any]]:
    """Return what an agent is found by."""
    found = {"tag": agent.tags, "group": agent.groups, "word": words_of(agent)}
    return [
        {"organisation": agent.organisation, "kind": kind, "value": label, "agent_id": agent.agent_id}
        for kind, names in found.items()
        for label in names
    ]


def labels_of(agents: Iterable[Agent]) -> list[dict[str, Any]]:
    """Return what agents are found by, in the order of the index: neighbours are written together."""
    rows = [row for agent in agents for row in label_rows(agent)]
    return sorted(rows, key=lambda row: (row["kind"], row["value"], row["agent_id"]))


def history_row(happening: Happening) -> dict[str, Any]:
    """Return the row of something that happened."""
    return {
        "organisation": happening.organisation,
        "agent_id": happening.agent_id,
        "event": happening.event,
        "before": happening.before,
        "after": happening.after,
        "actor": happening.actor[:256],
        "reason": happening.reason,
        "at": numeric_date(happening.at),
    }


async def write_labels(connection: AsyncConnection, agents: Sequence[Agent], *, fresh: bool = False) -> None:
    """Make agents found by what they are now."""
    if not fresh:
        for agent in agents:
            key = (labels.c.organisation == agent.organisation) & (labels.c.agent_id == agent.agent_id)
            await connection.execute(delete(labels).where(key))
    await insert_new(connection, labels, labels_of(agents))


async def write_history(connection: AsyncConnection, happenings: Iterable[Happening]) -> None:
    """Keep what happened."""
    await insert_many(connection, history, [history_row(happening) for happening in happenings])


async def pass_switches(connection: AsyncConnection) -> None:
    """Let no switch be turned until the transaction ends; before any agent is held, or two would wait in a circle."""
    await pass_gate(connection, GATE)


async def require_running(connection: AsyncConnection, agent: Agent) -> None:
    """Return if an agent may be active: no switch that is on covers it or has stopped it (REV-03).

    Raises: StateConflict.
    """
    found = await stopped_by(connection, agent)
    if found is not None:
        raise StateConflict(f"a kill switch is on ({found}); until it is lifted {agent.name} cannot be active")


async def stopped_by(connection: AsyncConnection, agent: Agent) -> str | None:
    """Return a switch that is on and keeps an agent from being active."""
    await pass_switches(connection)
    stopped = (stops.c.organisation == agent.organisation) & (stops.c.agent_id == agent.agent_id)
    held = select(stops.c.switch_id).where(stopped)
    query = select(switches.c.id).where(
        switches.c.organisation == agent.organisation,
        switches.c.lifted.is_(None),
        or_(covering(agent), switches.c.id.in_(held)),
    )
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


def covering(agent: Agent) -> ColumnElement[bool]:
    """Return the condition that a switch covers an agent."""
    table, named = switches.c, [("organisation", ""), ("organisation", HOME), ("sponsor", agent.sponsor)]
    if agent.template is not None:
        named.append(("template", agent.template))
    named += [("group", name) for name in agent.groups]
    return or_(*(and_(table.scope == scope, table.target == target) for scope, target in named))


def state_change(agent: Agent, before: State | None, *, by: str, reason: str, at: datetime) -> Happening:
    """Return what happened when an agent got the state it has now.

    Raises: StateConflict when the lifecycle has no such change.
    """
    event: Event = "create" if before is None else change_between(before, agent.state)
    return Happening(
        organisation=agent.organisation,
        agent_id=agent.agent_id,
        event=event,
        before=before,
        after=agent.state,
        actor=by,
        reason=reason,
        at=at,
    )
