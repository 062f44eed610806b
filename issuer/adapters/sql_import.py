"""Many agents at once in SQL: one statement for a table and a batch, and a row that cannot be is refused alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select

from did_agent.adapters.sql import insert_new
from did_agent.clock import numeric_date
from issuer.adapters.agent_records import labels_of, pass_switches, write_history
from issuer.adapters.registry_tables import imports, switches
from issuer.adapters.rows import Rows
from issuer.adapters.sql_agents import agent_row, enrolments
from issuer.adapters.tables import agents, labels
from issuer.model import Agent, Enrolment
from issuer.model.registry import Happening, ImportRow, RowResult


class ImportRows(Rows):
    """Implements the adding part of `issuer.ports.registry.RegistryWork`."""

    async def known_imports(self, organisation: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the agents that rows were imported as before, by key."""
        own = (imports.c.organisation == organisation) & imports.c.key.in_(keys)
        rows = (await self._do.execute(select(imports.c.key, imports.c.agent_id).where(own))).all()
        return {row.key: row.agent_id for row in rows}

    async def import_agents(self, rows: Sequence[ImportRow], *, by: str) -> Sequence[RowResult]:
        """Add agents of one organisation under the caller's keys; a row that cannot be is refused alone."""
        if not rows:
            return []
        organisation = rows[0].agent.organisation
        # The key first: of two imports of the same list at once, one adds a row and the other finds it.
        taken = await insert_new(self._do, imports, [_key_row(row) for row in rows])
        fresh = [row for row in rows if (organisation, row.key) in taken]
        results = {result.key: result for result in await self.add_agents(fresh, by=by, reason="imported")}
        refused = [key for key, result in results.items() if result.outcome == "refused"]
        if refused:
            own = (imports.c.organisation == organisation) & imports.c.key.in_(refused)
            await self._do.execute(delete(imports).where(own))
        left = [row.key for row in rows if row.key not in results]
        before = await self.known_imports(organisation, left) if left else {}
        results |= {key: RowResult(key=key, outcome="exists", agent_id=before.get(key)) for key in left}
        return [results[row.key] for row in rows]

    async def add_agents(
        self, rows: Sequence[ImportRow], *, by: str, reason: str, invitations: Sequence[Enrolment] = ()
    ) -> Sequence[RowResult]:
        """Add agents of one organisation; a row that cannot be is refused alone."""
        stopped = await self._stopped([row.agent for row in rows if row.agent.state == "active"])
        fit = [row for row in rows if row.agent.agent_id not in stopped]
        added = await insert_new(self._do, agents, [agent_row(row.agent, skeleton=row.skeleton) for row in fit])
        new = {row.agent.agent_id: row for row in fit if (row.agent.organisation, row.agent.agent_id) in added}
        await insert_new(self._do, labels, labels_of(row.agent for row in new.values()))
        await write_history(self._do, [_created(row.agent, by=by, reason=reason) for row in new.values()])
        invited = [_invitation(one) for one in invitations if one.agent_id in new]
        if invited:
            await self._do.execute(insert(enrolments), invited)
        names = await self._names([row for row in fit if row.agent.agent_id not in new])
        return [_result(row, row.agent.agent_id in new, stopped, names) for row in rows]

    async def _stopped(self, starting: Sequence[Agent]) -> Mapping[str, str]:
        """Return the agents that may not be active, each with the switch that says so."""
        if not starting:
            return {}
        await pass_switches(self._do)
        query = select(switches.c.scope, switches.c.target, switches.c.id)
        query = query.where(switches.c.organisation == starting[0].organisation, switches.c.lifted.is_(None))
        on = {(row.scope, row.target): row.id for row in (await self._do.execute(query)).all()}
        found: dict[str, str] = {}
        for agent in starting if on else ():
            covers = (
                ("organisation", ""),
                ("sponsor", agent.sponsor),
                ("template", agent.template),
                *(("group", group) for group in agent.groups),
            )
            over = next((on[cover] for cover in covers if cover in on), None)
            if over is not None:
                found[agent.agent_id] = over
        return found

    async def _names(self, refused: Sequence[ImportRow]) -> frozenset[str]:
        """Return those names of refused rows that are taken."""
        if not refused:
            return frozenset()
        own = agents.c.organisation == refused[0].agent.organisation
        query = select(agents.c.skeleton).where(own, agents.c.skeleton.in_([row.skeleton for row in refused]))
        return frozenset((await self._do.execute(query)).scalars())


def _result(row: ImportRow, added: bool, stopped: Mapping[str, str], names: frozenset[str]) -> RowResult:
    agent = row.agent
    if added:
        return RowResult(key=row.key, outcome="created", agent_id=agent.agent_id)
    if agent.agent_id in stopped:
        detail = f"a kill switch is on ({stopped[agent.agent_id]})"
    elif row.skeleton in names:
        detail = f"an agent with a name like {agent.name} exists"
    else:
        detail = "this key belongs to another agent"
    return RowResult(key=row.key, outcome="refused", code="state_conflict", detail=detail)


def _key_row(row: ImportRow) -> dict[str, str]:
    return {"organisation": row.agent.organisation, "key": row.key, "agent_id": row.agent.agent_id}


def _created(agent: Agent, *, by: str, reason: str) -> Happening:
    return Happening(
        organisation=agent.organisation,
        agent_id=agent.agent_id,
        event="create",
        before=None,
        after=agent.state,
        actor=by,
        reason=reason,
        at=agent.created,
    )


def _invitation(enrolment: Enrolment) -> dict[str, object]:
    return {
        "agent_id": enrolment.agent_id,
        "challenge_digest": enrolment.challenge_digest,
        "expires": numeric_date(enrolment.expires),
    }
