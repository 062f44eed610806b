"""Letting agents in that nobody registered by hand: made from a blueprint, active at once or when owners agree."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.credential.issuance import new_id
from did_agent.errors import Replayed, StateConflict
from did_agent.presentation.model import VerifiedPresentation
from issuer.description import require_agent
from issuer.model import Agent, Operator
from issuer.model.enrolment import Application, Asking, Enrolled, Source
from issuer.model.registry import ImportRow, Template
from issuer.naming import MAX_NAME, skeleton
from issuer.ports import Work
from issuer.possession import PURPOSE
from issuer.service.binding import bind_first, identity_of
from issuer.service.grouping import require_groups
from issuer.service.office import Office

_SUFFIX: Final = 4  # random bytes of a name that nobody chose


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an agent made from a blueprint is, beside what the blueprint says."""

    name: str | None
    owner: str
    groups: Sequence[str] = ()
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] | None = None
    sponsor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """By what an agent comes in."""

    source: Source
    source_id: str
    by: str  # who handed out the token or wrote the rule
    needs_approval: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """One agent's way in, within one transaction."""

    office: Office
    work: Work
    now: datetime
    request_id: str

    async def spend(self, proven: VerifiedPresentation) -> None:
        """Spend the proof of possession.

        Raises: Replayed.
        """
        if not await self.work.spend(PURPOSE, proven.replay_key, expires=proven.replay_until):
            raise Replayed("this proof was shown before")

    async def register(self, template: Template, wanted: Wanted) -> Agent:
        """Add a pending agent that nobody is invited to.

        Raises: InvalidParameter, StateConflict when a name like it is taken.
        """
        groups = tuple(sorted({*template.groups, *wanted.groups}))
        agent = Agent(
            organisation=template.organisation,
            agent_id=new_id(),
            name=wanted.name or f"{template.name[: MAX_NAME - 2 * _SUFFIX - 1]}-{secrets.token_hex(_SUFFIX)}",
            sponsor=wanted.sponsor or template.sponsor,
            owner=wanted.owner,
            description=template.description,
            metadata={**template.metadata, **(wanted.metadata or {})},
            redirect_uris=template.redirect_uris,
            tags=tuple(sorted({*template.tags, *wanted.tags})),
            groups=groups,
            template=template.name,
            state="pending",
            did=None,
            created=self.now,
            changed=self.now,
        )
        row = ImportRow(key=agent.agent_id, agent=require_agent(agent), skeleton=skeleton(agent.name))
        await require_groups(self.work, groups, organisation=agent.organisation)
        reason = f"made from {template.name}, version {template.version}"
        result = (await self.work.add_agents([row], by=wanted.owner, reason=reason))[0]
        if result.outcome == "refused":
            raise StateConflict(result.detail or "the agent could not be registered")
        return agent

    async def settle(self, agent: Agent, did: str, admitted: Admitted) -> Enrolled:
        """Bind the first key of a pending agent, or let it wait where its owner is to be asked.

        Raises: StateConflict.
        """
        if admitted.needs_approval or await self.asks_owner(agent):
            return await self.wait(agent, did, admitted, asking="enrol")
        reason = f"enrolled by {admitted.source}"
        active = await bind_first(self.work, agent, did, by=did, reason=reason, now=self.now)
        await self.record(agent, did, "agent.enrol", f"{agent.name} proved its key and came by {admitted.source}")
        return Enrolled(agent=active, identity=identity_of(self.office, active, self.now))

    async def wait(self, agent: Agent, did: str, admitted: Admitted, *, asking: Asking) -> Enrolled:
        """Let a proven key wait until somebody agrees.

        Raises: StateConflict when it asked before.
        """
        application = Application(
            organisation=agent.organisation,
            id=new_id(),
            agent_id=agent.agent_id,
            did=did,
            asking=asking,
            source=admitted.source,
            source_id=admitted.source_id,
            owner=agent.owner,
            by=admitted.by,
            asked=self.now,
        )
        await self.work.add_application(application)
        words = f"{agent.name} proved a key, which waits for its owner; it came by {admitted.source}"
        await self.record(agent, did, "agent.apply", words)
        return Enrolled(agent=agent, identity=None, waiting=application.id)

    async def asks_owner(self, agent: Agent) -> bool:
        """Tell whether the organisation wants owners to agree to new agents: to all, or to those of a blueprint."""
        said = await self.work.approval_policies(agent.organisation)
        wanted = {policy.template: policy.needs_approval for policy in said}
        return wanted.get(None, False) or wanted.get(agent.template, False)

    async def record(self, agent: Agent, did: str, action: str, words: str) -> None:
        """Record what the key did."""
        by = Operator(
            organisation=agent.organisation, principal=did, kind="agent", client_id=did, request_id=self.request_id
        )
        await self.work.record(self.office.event(by, action, agent.agent_id, words))
