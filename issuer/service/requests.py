"""Requests for rights: made by agents and sponsors, decided by somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from did_agent.errors import InsufficientScope, NotFound, StateConflict
from issuer.access import own_alone, require_within
from issuer.granting import decide_terms, require_may_grant
from issuer.model import Agent, Grant, Operator
from issuer.model.grants import Assignment, CapabilityTemplate
from issuer.model.requests import Answer, GrantRequest, Narrowing, NewRequest, RequestState
from issuer.model.status import Place
from issuer.naming import require_text
from issuer.ports import Work
from issuer.requests import approved_grant, open_request, require_other, require_pending, require_whole
from issuer.service.granting import issue_event, make_grant, templates_for_managers
from issuer.service.office import Office
from issuer.service.roles import give_role
from issuer.service.separation import require_not_handed_over
from issuer.service.status import StatusRoom

_ACTIONS: Final = {"approved": "approve", "denied": "deny", "withdrawn": "withdraw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What is asked for, and what became of it."""

    office: Office

    async def create(self, new: NewRequest, *, by: Operator) -> GrantRequest:
        """Ask for rights of an agent: it asks for itself, a sponsor for its own agents.

        Raises: NotFound, InvalidParameter, StateConflict, TooManyPending, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(new.agent, organisation=by.organisation))
            pending = await work.pending_requests(agent.agent_id, organisation=agent.organisation, now=now)
            made = open_request(new, agent, pending=pending, by=by, now=now)
            if made.wanted == "role" and await work.role(made.name or "", organisation=by.organisation) is None:
                raise NotFound("there is no such role")
            if made.wanted == "template":
                await _template(work, made)
            await work.add_request(made)
            event = self.office.event(by, "request.create", made.id, made.reason)
            details = {**event.details, "agent": agent.agent_id, "wanted": made.wanted}
            await work.record(replace(event, details=details))
        self.office.news.wake_audit()
        return made

    async def show(self, identifier: str, *, by: Operator) -> tuple[GrantRequest, Grant | None]:
        """Return a request, and the credential that came of it.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            request, _ = await _seen(work, identifier, by, hold=False)
            if request.credential_id is None:
                return request, None
            return request, await work.grant(request.credential_id, organisation=by.organisation)

    async def list(
        self,
        *,
        state: RequestState | None,
        agent: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
        by: Operator,
    ) -> Sequence[GrantRequest]:
        """Return requests, newest first; agents and sponsors see their own.  Raises: NotFound, StoreUnavailable."""
        asked = by.principal if by.roles == {"agent"} else agent
        async with self.office.store.work() as work:
            found = None
            if asked is not None:
                found = require_within(by, await work.agent(asked, organisation=by.organisation, hold=False))
            return await work.requests(
                organisation=by.organisation,
                now=self.office.clock(),
                state=state,
                agent_id=None if found is None else found.agent_id,
                owner=own_alone(by),
                after=after,
                limit=limit,
            )

    async def approve(
        self, identifier: str, narrowing: Narrowing, *, reason: str, by: Operator
    ) -> tuple[GrantRequest, Grant | None]:
        """Give what was asked for, or less; the credential is issued with the decision.

        Raises: NotFound, StateConflict, InsufficientScope, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        (place,) = await StatusRoom(office=self.office).take(by.organisation)
        async with self.office.store.work() as work:
            request, agent = await _seen(work, identifier, by, hold=True)
            require_pending(request, now)
            policy = await work.granting_policy(by.organisation)
            require_other(request, agent, policy, by=by)
            if policy.separation:
                await require_not_handed_over(work, agent, since=request.created, by=by)
            grant = None
            if request.wanted == "role":
                require_whole(narrowing)
                given = Assignment(
                    role=request.name or "", kind="agent", target=agent.agent_id, by="", created=self.office.clock()
                )
                await give_role(work, self.office, given, by=by, request_id=request.id)
            else:
                grant = await self._granted(work, request, agent, narrowing, place, by=by)
            decided = await self._decide(work, request, "approved", reason, grant=grant, by=by)
        self.office.news.wake_audit()
        return decided, grant

    async def refuse(self, identifier: str, answer: Answer, *, reason: str, by: Operator) -> GrantRequest:
        """Deny a request, or take back one's own.

        Raises: NotFound, StateConflict, InsufficientScope, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            request, _ = await _seen(work, identifier, by, hold=True)
            require_pending(request, now)
            if answer == "withdrawn" and request.by != by.principal:
                raise InsufficientScope("only who asked takes a request back")
            decided = await self._decide(work, request, answer, reason, grant=None, by=by)
        self.office.news.wake_audit()
        return decided

    async def _granted(
        self, work: Work, request: GrantRequest, agent: Agent, narrowing: Narrowing, place: Place, *, by: Operator
    ) -> Grant:
        policy = await work.granting_policy(by.organisation)
        template = await _template(work, request) if request.wanted == "template" else None
        new = approved_grant(request, template, narrowing, agent)
        terms = decide_terms(new, template, policy, now=self.office.clock(), request_id=request.id)
        require_may_grant(by, terms, policy, await templates_for_managers(work, by))
        grant = make_grant(self.office, agent, terms, place=place)
        await work.add_grants([grant])
        await work.record(issue_event(self.office, by, grant, agent.name))
        return grant

    async def _decide(
        self, work: Work, request: GrantRequest, answer: Answer, reason: str, *, grant: Grant | None, by: Operator
    ) -> GrantRequest:
        decided = replace(
            request,
            answer=answer,
            decided_by=by.principal,
            decided=self.office.clock(),
            why=reason,
            credential_id=None if grant is None else grant.id,
        )
        if not await work.decide_request(decided):
            raise StateConflict("somebody else decided meanwhile")
        event = self.office.event(by, f"request.{_ACTIONS[answer]}", request.id, reason)
        ids = () if grant is None else (grant.id,)
        details = {**event.details, "agent": request.agent_id, "requester": request.by[:256]}
        await work.record(replace(event, credential_ids=ids, details=details))
        return decided


async def _template(work: Work, request: GrantRequest) -> CapabilityTemplate:
    found = await work.capability_template(request.name or "", organisation=request.organisation)
    if found is None or found.withdrawn is not None:
        raise NotFound("there is no such capability template")
    return found


async def _seen(work: Work, identifier: str, by: Operator, *, hold: bool) -> tuple[GrantRequest, Agent]:
    request = await work.request(identifier, organisation=by.organisation)
    agent = None
    if request is not None:
        agent = await work.agent(request.agent_id, organisation=by.organisation, hold=hold)
    try:
        agent = require_within(by, agent)
    except NotFound:
        request = None
    if request is None or agent is None:
        raise NotFound("there is no such request")
    return request, agent
