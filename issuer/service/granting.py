"""Issuing and revoking credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from did_agent.credential.capability import Capability
from did_agent.credential.issuance import new_id
from did_agent.errors import NotFound, StoreUnavailable
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.access import own_alone, require_within
from issuer.granting import LIST_CAPACITY, grant_capabilities
from issuer.model import Agent, Grant, GrantState, Notice, Operator
from issuer.naming import require_text
from issuer.ports import Work
from issuer.service.office import Office

_TRIES = 16  # random indices tried in a list that is at most half full; 2^-16 that none is free


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """What agents were granted."""

    office: Office

    async def issue(  # what an operator may say of a grant
        self,
        identifier: str,
        capabilities: Sequence[Capability],
        *,
        valid_seconds: int,
        max_depth: int,
        on_behalf_of: str | None,
        by: Operator,
        cryptosuite: str = DEFAULT_SUITE,
    ) -> Grant:
        """Grant capabilities to an active agent.

        Raises: NotFound, StateConflict, InvalidParameter, BadCredential, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            number = await work.next_list(LIST_CAPACITY)
            for _ in range(_TRIES):
                grant = grant_capabilities(
                    agent,
                    capabilities,
                    key=self.office.key_of(agent.organisation),
                    issuer_url=self.office.url,
                    list_number=number,
                    valid_seconds=valid_seconds,
                    max_depth=max_depth,
                    on_behalf_of=on_behalf_of,
                    cryptosuite=cryptosuite,
                    now=now,
                )
                if await work.add_grant(grant):
                    break
            else:
                raise StoreUnavailable("no free status index was found")
            tools = sorted({tool for capability in capabilities for tool in capability.tools})
            event = self.office.event(by, "credential.issue", grant.id, f"{agent.name} may {', '.join(tools)}"[:500])
            await work.record(replace(event, credential_ids=(grant.id,), details={**event.details, "agent": grant.did}))
        self.office.news.wake_audit()
        return grant

    async def list(self, *, agent: str | None, state: GrantState | None, limit: int, by: Operator) -> Sequence[Grant]:
        """Return credentials, newest first.

        Raises: NotFound when there is no such agent, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            found = None if agent is None else await work.agent(agent, organisation=by.organisation, hold=False)
            if agent is not None or own_alone(by) is not None:
                found = require_within(by, found)
            return await work.grants(
                organisation=by.organisation,
                agent_id=None if found is None else found.agent_id,
                state=state,
                now=self.office.clock(),
                limit=limit,
            )

    async def show(self, identifier: str, *, by: Operator) -> Grant:
        """Return one credential.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return (await _held(work, identifier, by))[0]

    async def revoke(self, identifier: str, *, reason: str, by: Operator) -> tuple[Grant, bool]:
        """Revoke a credential, for good; say also whether the bridge has heard already.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            grant, _ = await _held(work, identifier, by)
            if await work.revoke_grant(identifier, now):
                await work.add_notice(
                    Notice(id=new_id(), kind="credential-revoked", subject=identifier, reason=reason, at=now)
                )
            event = self.office.event(by, "credential.revoke", identifier, reason)
            details = {**event.details, "agent": grant.did}
            await work.record(replace(event, credential_ids=(identifier,), details=details))
        self.office.news.wake_audit()
        return replace(grant, revoked=grant.revoked or now), await self.office.news.push()


async def _held(work: Work, identifier: str, by: Operator) -> tuple[Grant, Agent]:
    grant = await work.grant(identifier, organisation=by.organisation)
    agent = None if grant is None else await work.agent(grant.agent_id, organisation=by.organisation)
    try:
        agent = require_within(by, agent)
    except NotFound:
        grant = None
    if grant is None or agent is None:
        raise NotFound("there is no such credential")
    return grant, agent
