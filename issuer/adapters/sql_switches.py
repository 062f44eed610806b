"""Kill switches in SQL: what they stop and let go is said in sets, not agent by agent (REV-03)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, and_, delete, select, true, update

from did_agent.adapters.sql import close_gate, insert_if_absent, insert_many
from did_agent.clock import numeric_date
from did_agent.credential.issuance import new_id
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.agent_records import GATE, write_history
from issuer.adapters.registry_tables import stops, switches
from issuer.adapters.sql_status import CHUNK, StatusRows
from issuer.adapters.tables import agents, labels, notices
from issuer.model import ANNOUNCED, State
from issuer.model.registry import Happening, Scope, Switch

_STATES: Final[Mapping[str, tuple[State, State]]] = {
    "suspend": ("active", "suspended"),
    "resume": ("suspended", "active"),
}


class SwitchRows(StatusRows):
    """Implements `issuer.ports.registry.SwitchWork` but for the impact."""

    async def turn_on(self, switch: Switch) -> Switch:
        """Stop all that a switch covers and keep it from starting again.

        Raises: StateConflict when there is one for the same already.
        """
        await close_gate(self._do, GATE)  # whoever becomes active now has committed, and is found below
        if not await insert_if_absent(self._do, switches, _row(switch)):
            raise StateConflict(f"this {switch.scope} is stopped already")
        covered = and_(reached(switch.scope, switch.target, switch.organisation), agents.c.state == "active")
        changed = await self._change(covered, "suspended", switch.at)
        key = {"organisation": switch.organisation, "switch_id": switch.id}
        await insert_many(self._do, stops, [{**key, "agent_id": agent_id} for agent_id, _ in changed])
        await self._tell(switch.organisation, changed, "suspend", actor=switch.by, reason=switch.reason, at=switch.at)
        own = (switches.c.organisation == switch.organisation) & (switches.c.id == switch.id)
        await self._do.execute(update(switches).where(own).values(stopped=len(changed)))
        return replace(switch, stopped=len(changed))

    async def turn_off(self, switch: Switch, *, by: str, reason: str, now: datetime) -> tuple[Switch, int]:
        """Lift a switch and let act again what it alone stopped; say how many."""
        await close_gate(self._do, GATE)
        key = (switches.c.organisation == switch.organisation) & (switches.c.id == switch.id)
        lifted = update(switches).where(key, switches.c.lifted.is_(None))
        done = await self._do.execute(lifted.values(lifted=numeric_date(now), lifted_by=by, on_for=None))
        if done.rowcount != 1:
            raise StateConflict("this switch is off")
        held = list((await self._do.execute(select(stops.c.agent_id).where(_stopped_by(switch)))).scalars())
        free = await self._hand_over(switch, held)
        changed: list[tuple[str, str | None]] = []
        for part in _parts(free):
            own = (agents.c.organisation == switch.organisation) & agents.c.agent_id.in_(part)
            changed += await self._change(own & (agents.c.state == "suspended"), "active", now)
        await self._tell(switch.organisation, changed, "resume", actor=by, reason=reason, at=now)
        await self._do.execute(delete(stops).where(_stopped_by(switch)))
        off = (await self._do.execute(select(switches).where(key))).one()
        return _switch(off), len(changed)

    async def switch(self, identifier: str, *, organisation: str) -> Switch | None:
        """Return a switch, held until the transaction ends."""
        query = select(switches).where(switches.c.organisation == organisation, switches.c.id == identifier)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _switch(found)

    async def switches(self, *, organisation: str, on: bool | None, after: str, limit: int) -> Sequence[Switch]:
        """Return switches, by id."""
        query = select(switches).where(switches.c.organisation == organisation, switches.c.id > after)
        if on is not None:
            query = query.where(switches.c.lifted.is_(None) if on else switches.c.lifted.is_not(None))
        rows = (await self._do.execute(query.order_by(switches.c.id).limit(limit))).all()
        return [_switch(row) for row in rows]

    async def _hand_over(self, switch: Switch, held: Sequence[str]) -> Sequence[str]:
        """Leave what another switch covers too to that one: it comes back when the last is lifted; return the rest."""
        others = select(switches.c.id, switches.c.scope, switches.c.target)
        others = others.where(switches.c.organisation == switch.organisation, switches.c.lifted.is_(None))
        free = set(held)
        for other in (await self._do.execute(others.order_by(switches.c.id))).all():
            for part in _parts(sorted(free)):
                covered = reached(other.scope, other.target, switch.organisation) & agents.c.agent_id.in_(part)
                theirs = set((await self._do.execute(select(agents.c.agent_id).where(covered))).scalars())
                for taken in _parts(sorted(theirs)):
                    left = update(stops).where(_stopped_by(switch), stops.c.agent_id.in_(taken))
                    await self._do.execute(left.values(switch_id=other.id))
                free -= theirs
        return sorted(free)

    async def _change(self, which: ColumnElement[bool], state: State, at: datetime) -> list[tuple[str, str | None]]:
        """Change the state of agents; return their ids and DIDs.

        What follows is written from these, not by joins: a planner that has not seen a mass change yet joins badly.
        """
        changed = update(agents).where(which).values(state=state, changed=numeric_date(at))
        rows = (await self._do.execute(changed.returning(agents.c.agent_id, agents.c.did))).all()
        return [(row.agent_id, row.did) for row in rows]

    async def _tell(  # one change of many agents
        self,
        organisation: str,
        changed: Sequence[tuple[str, str | None]],
        change: Literal["suspend", "resume"],
        *,
        actor: str,
        reason: str,
        at: datetime,
    ) -> None:
        """Write the history, the notices and the status bits of agents that were changed."""
        before, after = _STATES[change]
        happened = (
            Happening(
                organisation=organisation,
                agent_id=agent_id,
                event=change,
                before=before,
                after=after,
                actor=actor,
                reason=reason,
                at=at,
            )
            for agent_id, _ in changed
        )
        await write_history(self._do, happened)
        waiting = [
            {"id": new_id(), "kind": ANNOUNCED[change], "subject": did, "reason": reason, "at": numeric_date(at)}
            for _, did in changed
            if did is not None
        ]
        await insert_many(self._do, notices, waiting)
        await self.flip_agents([agent_id for agent_id, _ in changed], suspended=change == "suspend", now=at)


def reached(scope: Scope, target: str, organisation: str) -> ColumnElement[bool]:
    """Return the condition that an agent is covered by a switch."""
    members = select(labels.c.agent_id).where(
        labels.c.organisation == organisation, labels.c.kind == "group", labels.c.value == target
    )
    within: dict[Scope, ColumnElement[bool]] = {
        "organisation": true(),
        "sponsor": agents.c.sponsor == target,
        "template": agents.c.template == target,
        "group": agents.c.agent_id.in_(members),
    }
    return and_(agents.c.organisation == organisation, within[scope])


def _parts(ids: Sequence[str]) -> Sequence[Sequence[str]]:
    return [ids[begin : begin + CHUNK] for begin in range(0, len(ids), CHUNK)]


def _stopped_by(switch: Switch) -> ColumnElement[bool]:
    return and_(stops.c.organisation == switch.organisation, stops.c.switch_id == switch.id)


def _on_for(switch: Switch) -> str:
    # Of fixed length: a sponsor may be longer than a key should be.
    return hashlib.sha256(f"{switch.organisation} {switch.scope} {switch.target}".encode()).hexdigest()


def _row(switch: Switch) -> dict[str, Any]:
    return {
        "organisation": switch.organisation,
        "id": switch.id,
        "scope": switch.scope,
        "target": switch.target,
        "reason": switch.reason,
        "by": switch.by,
        "at": numeric_date(switch.at),
        "stopped": 0,
        "on_for": _on_for(switch),
    }


def _switch(row: Any) -> Switch:
    return Switch(
        organisation=row.organisation,
        id=row.id,
        scope=row.scope,
        target=row.target,
        reason=row.reason,
        by=row.by,
        at=from_numeric_date(row.at),
        stopped=row.stopped,
        lifted=None if row.lifted is None else from_numeric_date(row.lifted),
        lifted_by=row.lifted_by,
    )
