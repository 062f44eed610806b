"""What agents take for themselves: the credential after the one that ends, and what their roles give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from did_agent.errors import NotFound, StateConflict, StoreUnavailable
from issuer.access import require_within
from issuer.granting import LAST_PART, continues, decide_terms, has_budget, newest, renewal_of, resumed
from issuer.model import Agent, Grant, Operator
from issuer.model.grants import MAX_TEMPLATES, AgentRole, Entitlement, GrantingPolicy, NewGrant, Terms
from issuer.ports import Work
from issuer.roles import entitled
from issuer.service.ending import end_credentials
from issuer.service.granting import issue_event, make_grant
from issuer.service.office import Office
from issuer.service.status import StatusRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """Credentials that follow others, and those that follow from roles."""

    office: Office

    async def renew(self, identifier: str, *, end_old: bool, by: Operator) -> Grant:
        """Return the credential after one of the agent's own; asked again, the same one.

        Raises: NotFound, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        (place,) = await StatusRoom(office=self.office).take(by.organisation)
        async with self.office.store.work() as work:
            grant = await work.grant(identifier, organisation=by.organisation)
            agent = await work.agent(by.principal or "", organisation=by.organisation)
            if grant is None or agent is None or (grant.agent_id, grant.did) != (agent.agent_id, by.principal):
                raise NotFound("there is no such credential")
            grant = await work.grant(identifier, organisation=by.organisation) or grant  # as it is under the hold
            if grant.renewed_to is not None:
                return await _successor(work, grant, now)
            policy = await work.granting_policy(agent.organisation)
            template = None
            if grant.source.template is not None:
                template = await work.capability_template(grant.source.template, organisation=agent.organisation)
            roles = await work.roles_of(agent) if grant.source.role is not None else ()
            first = await work.grant(grant.begun, organisation=agent.organisation) or grant
            terms = renewal_of(grant, first, template, roles, policy, now=now)
            made = make_grant(self.office, agent, terms, place=place)
            if not continues(grant, made):
                raise StateConflict("its issuer signs with another key by now, under which its budget would begin anew")
            if not await work.mark_renewed(grant.id, made.id):
                raise StoreUnavailable("it is being renewed: try again")
            await work.add_grants([made])
            if end_old:
                await end_credentials(
                    work, [grant.id], organisation=agent.organisation, reason="renewed at once", now=now
                )
            event = issue_event(self.office, by, made, agent.name, "credential.renew")
            await work.record(replace(event, details={**event.details, "renewed": grant.id}))
        self.office.news.wake_audit()
        if end_old:
            await self.office.news.push()
        return made

    async def entitlements(self, identifier: str, *, by: Operator) -> Sequence[Entitlement]:
        """Return what an agent's roles give it.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
            return await self._entitled(work, await work.roles_of(agent))

    async def collect(self, identifier: str, *, by: Operator) -> Sequence[Grant]:
        """Issue what an agent's roles give it and it does not hold, or not for much longer.

        Raises: NotFound, StateConflict, InvalidParameter, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
            expected = await self._missing(work, agent)
        places = await StatusRoom(office=self.office).take(by.organisation, len(expected)) if expected else ()
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            missing = await self._missing(work, agent)
            # What came up meanwhile is given next time.
            made = []
            for (terms, last), place in zip(missing, places, strict=False):
                one = make_grant(self.office, agent, terms, place=place)
                made += [one] if last is None or continues(last, one) else []
            await work.add_grants(made)
            await work.record_all([issue_event(self.office, by, grant, agent.name) for grant in made])
        self.office.news.wake_audit()
        return made

    async def _missing(self, work: Work, agent: Agent) -> Sequence[tuple[Terms, Grant | None]]:
        """Return what to grant, each with the credential whose budget it goes on with."""
        now, found = self.office.clock(), list[tuple[Terms, Grant | None]]()
        policy = await work.granting_policy(agent.organisation)
        for one in await self._entitled(work, await work.roles_of(agent)):
            is_counted = has_budget(one.template.capabilities)
            held = await work.granted_from(
                organisation=agent.organisation,
                now=_held_until(one, policy, now),
                role=one.role,
                template=one.template.name,
                agent_id=agent.agent_id,
                counting=is_counted,
            )
            new = NewGrant(agent=agent.agent_id, template=one.template.name)
            terms = decide_terms(new, one.template, policy, now=now, role=one.role)
            last, given = None, None if held and not is_counted else terms
            if is_counted:
                last = newest(await work.grants_by_id(held, organisation=agent.organisation))
                given = resumed(terms, last, now=now)
            found += [] if given is None else [(given, last)]
        return found

    async def _entitled(self, work: Work, roles: Sequence[AgentRole]) -> Sequence[Entitlement]:
        if not roles:
            return ()
        names = sorted({name for role in roles for name in role.templates})
        templates = await work.capability_templates(
            organisation=roles[0].organisation, names=names, limit=max(len(names), MAX_TEMPLATES)
        )
        return entitled(roles, templates)


def _held_until(one: Entitlement, policy: GrantingPolicy, now: datetime) -> datetime:
    """Return what a credential must outlive for the agent to need no other; a budget is not given twice at a time."""
    if has_budget(one.template.capabilities):
        return now
    return now + timedelta(seconds=min(one.template.valid_seconds, policy.max_valid_seconds)) / LAST_PART


async def _successor(work: Work, grant: Grant, now: datetime) -> Grant:
    found = await work.grant(grant.renewed_to or "", organisation=grant.organisation)
    if found is None or found.state_at(now) != "active":
        raise StateConflict("the credential was renewed, and what came after it is not in force")
    return found
