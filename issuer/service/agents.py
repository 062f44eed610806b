"""Registering agents and changing their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from did_agent.credential.issuance import new_id
from did_agent.errors import NotFound
from issuer.access import own_alone, require_within
from issuer.description import require_agent, require_placed
from issuer.enrolment import invite
from issuer.granting import identify
from issuer.model import ANNOUNCED, Agent, Change, Grant, NewAgent, Notice, Operator, next_state
from issuer.naming import require_text, skeleton
from issuer.service.grouping import require_groups
from issuer.service.office import Office
from issuer.service.principals import require_sponsors
from issuer.service.waking import require_may_wake

MAX_STANDING = 16  # credentials of one answer: as many as one presentation may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """Who is an agent."""

    office: Office

    async def create(self, new: NewAgent, *, by: Operator) -> tuple[Agent, str]:
        """Register an agent and return it with the challenge it enrols by.

        Raises: InvalidParameter, StateConflict when a name like it is taken, StoreUnavailable.
        """
        now = self.office.clock()
        agent = Agent(
            organisation=by.organisation,
            agent_id=new_id(),
            name=new.name,
            sponsor=new.sponsor,
            owner=own_alone(by) or new.owner or by.principal or "",
            description=new.description,
            metadata=new.metadata,
            redirect_uris=new.redirect_uris,
            tags=tuple(sorted(set(new.tags))),
            groups=tuple(sorted(set(new.groups))),
            state="pending",
            did=None,
            created=now,
            changed=now,
        )
        require_placed(require_agent(agent), by=by)
        challenge, enrolment = invite(agent.agent_id, now=now)
        async with self.office.store.work() as work:
            await require_groups(work, agent.groups, organisation=agent.organisation, by=by)
            await require_sponsors(work, [agent.sponsor], by=by)
            await work.add_agent(agent, enrolment, skeleton=skeleton(agent.name), by=by.principal or "")
            event = self.office.event(by, "agent.create", agent.agent_id, f"{agent.name} was registered")
            await work.record(event)
        self.office.news.wake_audit()
        return agent, challenge

    async def show(self, identifier: str, *, by: Operator) -> Agent:
        """Return an agent by its id or DID.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            if "service" in by.roles:
                return _required(await work.agent(identifier, organisation=None, hold=False))
            return require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))

    async def change_state(self, identifier: str, change: Change, *, reason: str, by: Operator) -> tuple[Agent, bool]:
        """Suspend, resume or retire an agent; say also whether the bridge has heard already.

        Raises: NotFound, InsufficientScope, StateConflict, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            if change == "resume":
                await require_may_wake(work, agent, by)
            changed = replace(agent, state=next_state(agent.state, change), changed=now)
            await work.change_agent(changed, by=by.principal or "", reason=reason)
            await work.flip_agents([agent.agent_id], suspended=changed.state != "active", now=now)
            if agent.did is not None:
                if change == "retire":
                    await work.end_key(agent, agent.did, why="retired", now=now)
                await work.add_notice(
                    Notice(id=new_id(), kind=ANNOUNCED[change], subject=agent.did, reason=reason, at=now)
                )
            await work.record(self.office.event(by, f"agent.{change}", agent.did or agent.agent_id, reason))
        self.office.news.wake_audit()
        return changed, await self.office.news.push()

    async def self(self, *, by: Operator) -> tuple[Agent, Mapping[str, object], Sequence[Grant]]:
        """Return the agent that asks, who it is as a fresh credential, and what it holds.

        Raises: NotFound, StoreUnavailable.
        """
        agent, grants = await self.standing(by.principal or "")
        return agent, identify(agent, key=self.office.key_of(agent.organisation), now=self.office.clock()), grants

    async def standing(self, did: str) -> tuple[Agent, Sequence[Grant]]:
        """Return an agent in any state, and its credentials that are in force.

        Raises: NotFound, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            agent = _required(await work.agent(did, organisation=None, hold=False))
            grants = await work.grants(
                organisation=agent.organisation, agent_id=agent.agent_id, state="active", now=now, limit=MAX_STANDING
            )
        return agent, grants


def _required(agent: Agent | None) -> Agent:
    if agent is None:
        raise NotFound("there is no such agent")
    return agent
