"""Keys that wait for somebody's word: listed, approved, rejected; and who is to be asked at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from did_agent.errors import NotFound, Replayed, StateConflict
from issuer.access import own_alone, require_within
from issuer.description import require_label
from issuer.enrolment import require_decider, require_waiting
from issuer.model import Agent, Grant, Operator, next_state
from issuer.model.enrolment import Application, ApprovalPolicy, Verdict
from issuer.naming import require_text
from issuer.ports import Work
from issuer.possession import PURPOSE, prove_agent
from issuer.service.binding import bind_first, places_for, replace_key
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Owners' word on keys."""

    office: Office

    async def list(self, *, verdict: str | None, after: str, limit: int, by: Operator) -> Sequence[Application]:
        """Return applications by id; a sponsor sees those for its own agents.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.applications(
                organisation=by.organisation, owner=own_alone(by), verdict=verdict, after=after, limit=limit
            )

    async def state(self, possession: str) -> Application:
        """Return what became of the key that asks.

        Raises: Malformed, VerificationError, NotFound, StoreUnavailable.
        """
        proven = prove_agent(possession, issuer_url=self.office.url, now=self.office.clock())
        async with self.office.store.work() as work:
            if not await work.spend(PURPOSE, proven.replay_key, expires=proven.replay_until):
                raise Replayed("this proof was shown before")
            found = await work.application_of(proven.holder)
        if found is None:
            raise NotFound("this key never asked")
        return found

    async def approve(self, identifier: str, *, reason: str, by: Operator) -> tuple[Application, Agent]:
        """Let a key speak for its agent from now on; one it replaces ends, and what that held goes over.

        Raises: NotFound, InsufficientScope, StateConflict, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            _, known = await self._waiting(work, identifier, by)
        places = await places_for(self.office, known, now)
        async with self.office.store.work() as work:
            application, agent = await self._waiting(work, identifier, by)
            decided = await self._decide(work, application, "approved", reason=reason, by=by, now=now)
            made: Sequence[Grant] = ()
            if application.asking == "rebind":
                changed, made = await replace_key(
                    work, self.office, agent, application.did, why="rebound", places=places, now=now
                )
            else:
                actor = by.principal or ""
                changed = await bind_first(work, agent, application.did, by=actor, reason=reason, now=now)
            event = self.office.event(by, "agent.approve", agent.agent_id, f"{application.did}: {reason}")
            await work.record(replace(event, credential_ids=tuple(grant.id for grant in made)))
        self.office.news.wake_audit()
        if application.asking == "rebind":
            await self.office.news.push()
        return decided, changed

    async def reject(self, identifier: str, *, reason: str, by: Operator) -> tuple[Application, Agent]:
        """Refuse a key; an agent that never had another is retired.

        Raises: NotFound, InsufficientScope, StateConflict, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            application, agent = await self._waiting(work, identifier, by)
            decided = await self._decide(work, application, "rejected", reason=reason, by=by, now=now)
            if application.asking == "enrol" and agent.state == "pending":
                agent = replace(agent, state=next_state(agent.state, "retire"), changed=now)
                await work.change_agent(agent, by=by.principal or "", reason=reason)
            words = f"{application.did}: {reason}"
            await work.record(self.office.event(by, "agent.reject", agent.agent_id, words))
        self.office.news.wake_audit()
        return decided, agent

    async def put_policy(self, policy: ApprovalPolicy, *, by: Operator) -> ApprovalPolicy:
        """Say whether agents wait for their owner.

        Raises: NotFound for a blueprint that is not there, StoreUnavailable.
        """
        policy = replace(policy, organisation=by.organisation)
        async with self.office.store.work() as work:
            if policy.template is not None:
                require_label("template", policy.template)
                if await work.template(policy.template, organisation=by.organisation) is None:
                    raise NotFound("there is no such blueprint")
            await work.put_approval_policy(policy)
            words = "owners are asked" if policy.needs_approval else "owners are not asked"
            await work.record(self.office.event(by, "enrolment-policy.put", policy.template, words))
        self.office.news.wake_audit()
        return policy

    async def policies(self, *, by: Operator) -> Sequence[ApprovalPolicy]:
        """Return what was said of it.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.approval_policies(by.organisation)

    async def _waiting(self, work: Work, identifier: str, by: Operator) -> tuple[Application, Agent]:
        found = await work.application(identifier, organisation=by.organisation)
        if found is None or own_alone(by) not in (None, found.owner):
            raise NotFound("there is no such application")
        application = require_waiting(found)
        agent = require_within(by, await work.agent(application.agent_id, organisation=by.organisation))
        require_decider(replace(application, owner=agent.owner), by=by)
        return application, agent

    async def _decide(  # what is kept of a decision
        self, work: Work, application: Application, verdict: Verdict, *, reason: str, by: Operator, now: datetime
    ) -> Application:
        actor = by.principal or ""
        if not await work.decide_application(application, verdict, by=actor, reason=reason, now=now):
            raise StateConflict("somebody else decided at the same moment")
        return replace(application, verdict=verdict, decided=now, decided_by=actor, reason=reason)
