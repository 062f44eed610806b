"""Status of credentials that agents make for others: a place in our lists, revoked by whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from did_agent.credential.issuance import new_id
from did_agent.errors import NotFound, StateConflict
from issuer.access import own_alone, require_within
from issuer.delegations import QUOTA_SPAN, Parent, parent_of_delegation, parent_of_grant, require_registrable
from issuer.model import Agent, Notice, Operator
from issuer.model.status import Delegation, NewDelegation, Place
from issuer.naming import require_text
from issuer.ports import Work
from issuer.service.office import Office
from issuer.status_lists import require_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegations:
    """What agents hand on, as far as they want to be able to take it back."""

    office: Office

    async def register(self, new: NewDelegation, *, by: Operator) -> Delegation:
        """Give the credential that an agent is about to make a place in our lists.

        Raises: InvalidParameter, NotFound, StateConflict, QuotaExceeded, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            # Held until the end: what one agent asks for at once is counted one after the other.
            agent = require_within(by, await work.agent(by.principal or "", organisation=by.organisation))
            parent = require_registrable(
                new,
                await self._parent(work, new.parent_id, agent),
                delegator=by.principal or "",
                registered=await work.count_delegations(
                    agent.agent_id, organisation=agent.organisation, since=now - QUOTA_SPAN
                ),
                now=now,
            )
            subject = await work.agent(new.subject, organisation=None, hold=False)
            made = Delegation(
                organisation=agent.organisation,
                id=new.id,
                agent_id=agent.agent_id,
                delegator=parent.holder,
                parent_id=parent.id,
                subject=new.subject,
                subject_id=None if subject is None else subject.agent_id,
                depth=parent.depth + 1,
                max_depth=parent.max_depth,
                valid_until=new.valid_until,
                place=await self._place(work, agent.organisation),
                created=now,
            )
            is_taken = await work.grant(new.id, organisation=None) is not None
            if is_taken or not await work.add_delegation(made):
                raise StateConflict("a credential of this id is known already")
            if subject is not None and subject.state != "active":
                # Said by the bit alone: whether somebody else's agent is suspended is not this agent's to ask.
                await work.flip([made.place], "suspension", value=True)
            event = self.office.event(by, "delegation.register", made.id, f"{agent.name} delegates to {made.subject}")
            details = {**event.details, "parent": made.parent_id, "subject": made.subject}
            await work.record(replace(event, credential_ids=(made.id, made.parent_id), details=details))
        self.office.news.wake_audit()
        return made

    async def list(
        self, *, agent: str | None, to: str | None = None, parent: str | None, after: str, limit: int, by: Operator
    ) -> Sequence[Delegation]:
        """Return delegations in the order of their ids, of and to whom is named; an agent sees those it made.

        Raises: NotFound, StoreUnavailable.
        """
        asked = by.principal if by.roles == {"agent"} else agent
        async with self.office.store.work() as work:
            return await work.delegations(
                organisation=by.organisation,
                agent_id=await self._named(work, asked, by),
                subject_id=await self._named(work, to, by),
                parent_id=parent,
                owner=own_alone(by),
                after=after,
                limit=limit,
            )

    async def revoke(self, identifier: str, *, reason: str, by: Operator) -> tuple[Delegation, int, bool]:
        """Revoke a delegation and all made from it; say how many ended, and whether the bridge has heard already.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            made, agent = await self._made(work, identifier, by)
            ended = await work.revoke_delegations(identifier, organisation=made.organisation, now=now)
            if ended:
                # Tokens depend on every credential of their chain: this one's end is that of all made from it.
                await work.add_notice(
                    Notice(id=new_id(), kind="credential-revoked", subject=identifier, reason=reason, at=now)
                )
            event = self.office.event(by, "delegation.revoke", identifier, reason)
            details = {**event.details, "agent": agent.did or agent.agent_id, "ended": str(len(ended))}
            await work.record(replace(event, credential_ids=(identifier,), details=details))
        self.office.news.wake_audit()
        return replace(made, revoked=made.revoked or now), len(ended), await self.office.news.push()

    async def _named(self, work: Work, identifier: str | None, by: Operator) -> str | None:
        if identifier is None:
            return None
        return require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False)).agent_id

    async def _parent(self, work: Work, identifier: str, agent: Agent) -> Parent | None:
        now = self.office.clock()
        grant = await work.grant(identifier, organisation=agent.organisation)
        if grant is not None:
            return parent_of_grant(grant, now)
        made = await work.delegation(identifier, organisation=agent.organisation)
        return None if made is None else parent_of_delegation(made, now)

    async def _place(self, work: Work, organisation: str) -> Place:
        # In this transaction: a request that is refused wastes no place.
        size, issuer = self.office.list_size, self.office.did_of(organisation)
        leases = await work.lease(organisation, 1, issuer=issuer, size=size, capacity=require_size(size))
        return next(leases[0].places())

    async def _made(self, work: Work, identifier: str, by: Operator) -> tuple[Delegation, Agent]:
        made = await work.delegation(identifier, organisation=by.organisation)
        agent = None if made is None else await work.agent(made.agent_id, organisation=by.organisation, hold=False)
        try:
            agent = require_within(by, agent)
        except NotFound:
            made = None
        if made is None or agent is None:
            raise NotFound("there is no such delegation")
        return made, agent
