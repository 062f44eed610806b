"""Replacing an agent's key: by its own word, or by its owner's after a loss; the agent stays who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from did_agent.encoding.digest import digest_uri
from did_agent.errors import NotFound, QuotaExceeded, Replayed, StateConflict, WrongChallenge, WrongKey
from did_agent.tokens.continuity import verify_continuity
from issuer.access import require_within
from issuer.enrolment import invite
from issuer.model import Agent, Grant, Operator, next_state
from issuer.model.keys import AgentKey
from issuer.naming import require_text
from issuer.ports import Work
from issuer.possession import PURPOSE, prove_agent
from issuer.service.binding import announce_end, identity_of, places_for, replace_key
from issuer.service.office import Office
from issuer.service.reissuing import MAX_LIVE
from issuer.service.waking import require_may_wake

MAX_KEYS: Final = 100  # of one answer
MAX_ROTATIONS: Final = 24  # of one agent in a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """An agent with its new key, and what it holds from now on."""

    agent: Agent
    identity: dict[str, object]
    grants: Sequence[Grant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """An agent's keys, the newest first, and when it was last given to another owner."""

    agent: Agent
    keys: Sequence[AgentKey]
    handed_over: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Which key speaks for an agent."""

    office: Office

    async def rotate(self, identifier: str, statement: str, possession: str, *, by: Operator) -> Replaced:
        """Bind the key that the agent's own key names; credentials go over to it, the old key ends at once.

        Raises: Malformed, VerificationError, NotFound, QuotaExceeded, StateConflict, StoreUnavailable.
        """
        now, url = self.office.clock(), self.office.url
        said = verify_continuity(statement, expected_before=by.principal or "", expected_audience=url, now=now)
        proven = prove_agent(possession, issuer_url=url, now=now)
        if proven.holder != said.after:
            raise WrongKey("another key answered than the one that was named")
        if proven.challenge != said.digest:
            raise WrongChallenge("the new key answered to another statement")
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
        places = await places_for(self.office, agent, now)
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            if agent.agent_id != said.agent_id:
                raise WrongKey("the statement is about another agent")
            await self._require_patience(work, agent, now)
            for key in (proven.replay_key, digest_uri(f"{said.before} {said.id}".encode())):
                if not await work.spend(PURPOSE, key, expires=proven.replay_until):
                    raise Replayed("this statement was shown before")
            changed, made = await replace_key(
                work, self.office, agent, said.after, why="rotated", places=places, statement=statement, now=now
            )
            explanation = f"{agent.name} named the key that comes after its own; {len(made)} credentials went over"
            event = self.office.event(by, "agent.rotate", said.after, explanation)
            await work.record(replace(event, credential_ids=tuple(grant.id for grant in made)[:MAX_LIVE]))
        self.office.news.wake_audit()
        await self.office.news.push()
        return Replaced(agent=changed, identity=identity_of(self.office, changed, now), grants=made)

    async def _require_patience(self, work: Work, agent: Agent, now: datetime) -> None:
        # Each key takes places in status lists, and news for everybody: of an agent that is alright a few a year.
        known = await work.keys(agent.organisation, agent.agent_id, limit=MAX_ROTATIONS + 1)
        if sum(key.added > now - timedelta(days=1) for key in known) > MAX_ROTATIONS:
            raise QuotaExceeded(f"an agent replaces its key at most {MAX_ROTATIONS} times a day")

    async def recover(self, identifier: str, *, reason: str, by: Operator) -> tuple[Agent, str]:
        """End a lost key at once, with all that was granted to it; return the challenge a new key enrols by.

        What it held comes back with the new key, for as long as it would have lasted.
        Raises: NotFound, StateConflict, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            await require_may_wake(work, agent, by)
            lost = replace(agent, did=None, state=next_state(agent.state, "recover"), changed=now)
            if agent.did is None:
                raise StateConflict("the agent has no key that could be lost")
            await work.change_agent(lost, by=by.principal or "", reason=reason)
            await work.end_key(agent, agent.did, why="recovered", now=now)
            await announce_end(work, agent.did, reason, now)
            await work.flip_agents([agent.agent_id], suspended=True, now=now)
            challenge, invitation = invite(agent.agent_id, now=now)
            await work.renew_enrolment(invitation)
            await work.record(self.office.event(by, "agent.recover", agent.did, reason))
        self.office.news.wake_audit()
        await self.office.news.push()
        return lost, challenge

    async def keys(self, identifier: str, *, by: Operator) -> Sequence[AgentKey]:
        """Return an agent's keys, the newest first.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
            return await work.keys(agent.organisation, agent.agent_id, limit=MAX_KEYS)

    async def succession(self, did: str) -> Succession:
        """Return which keys came before and after one that some agent has or had, for the parties of the deployment.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            known = await work.key(did)
            agent = None
            if known is not None:
                agent = await work.agent(known.agent_id, organisation=known.organisation, hold=False)
            if agent is None:
                raise NotFound("there is no such agent")
            keys = await work.keys(agent.organisation, agent.agent_id, limit=MAX_KEYS)
            return Succession(agent=agent, keys=keys, handed_over=await work.handed_over(agent))
