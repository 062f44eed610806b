"""Describing, finding and handing over agents, and what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from did_agent.errors import InsufficientScope, InvalidParameter, NotFound, StateConflict
from issuer.access import own_alone, require_within
from issuer.description import described, require_agent, words_in
from issuer.model import Agent, Operator, next_state
from issuer.model.registry import (
    MAX_COUNT,
    Description,
    Event,
    Happening,
    Impact,
    Scope,
    Search,
    Stopping,
)
from issuer.naming import require_text, skeleton
from issuer.ports import Work
from issuer.principals import require_owner
from issuer.service.grouping import require_groups
from issuer.service.office import Office
from issuer.service.principals import require_sponsors
from issuer.service.roles import end_unfounded

MAX_TERMS = 4  # words of one search


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Who is an agent, what is said of it, and in whose hands it is."""

    office: Office

    async def describe(self, identifier: str, said: Description, *, by: Operator) -> Agent:
        """Say something else of an agent; what results is judged as a whole.

        Raises: NotFound, InvalidParameter, InsufficientScope, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            result = replace(described(agent, said, by=by), changed=now)
            await require_groups(work, sorted({*result.groups} - {*agent.groups}), organisation=by.organisation, by=by)
            await work.describe_agent(result, skeleton=skeleton(result.name))
            if {*agent.groups} - {*result.groups}:
                await end_unfounded(work, self.office, agent_id=agent.agent_id, reason="left a group", by=by)
            changed = _differences(agent, result)
            await work.add_history(_happening(agent, result, "describe", reason=changed, by=by))
            await work.record(self.office.event(by, "agent.describe", agent.agent_id, f"{agent.name}: {changed}"))
        self.office.news.wake_audit()
        return result

    async def transfer(self, identifier: str, *, owner: str, sponsor: str | None, reason: str, by: Operator) -> Agent:
        """Hand an agent over to another operator of its organisation.

        Raises: NotFound, InvalidParameter, InsufficientScope, StateConflict, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            if agent.state == "retired":
                raise StateConflict(f"{agent.name} is retired; it stays in the hands it was in")
            require_owner(owner, await work.principal(owner, organisation=by.organisation), now=now)
            if sponsor not in (None, agent.sponsor):
                await _require_brought(work, agent, owner=owner, sponsor=sponsor or "", by=by)
            result = require_agent(replace(agent, owner=owner, sponsor=sponsor or agent.sponsor, changed=now))
            await work.describe_agent(result, skeleton=skeleton(result.name))
            words = f"from {agent.owner} to {owner}: {reason}"
            await work.add_history(_happening(agent, result, "transfer", reason=words, by=by))
            await work.record(self.office.event(by, "agent.transfer", agent.agent_id, words[:500]))
        self.office.news.wake_audit()
        return result

    async def search(
        self, search: Search, *, text: str | None, after: str, limit: int, count: bool, by: Operator
    ) -> tuple[Sequence[Agent], int | None]:
        """Return agents that fit, and where asked how many there are, up to `MAX_COUNT` and one more.

        Raises: InvalidParameter, StoreUnavailable.
        """
        words = tuple(words_in(text)) if text is not None else ()
        if text is not None and not 0 < len(words) <= MAX_TERMS:
            raise InvalidParameter(f"text: 1 to {MAX_TERMS} words")
        own = own_alone(by) if "service" not in by.roles else None
        prefix = None if search.prefix is None else skeleton(search.prefix)
        asked = replace(search, organisation=by.organisation, words=words, own=own, prefix=prefix)
        async with self.office.store.work() as work:
            found = await work.search(asked, after=after, limit=limit)
            return found, await work.count(asked, most=MAX_COUNT + 1) if count else None

    async def history(self, identifier: str, *, after: int, limit: int, by: Operator) -> Sequence[Happening]:
        """Return what happened to an agent, the newest first.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
            return await work.history(agent, after=after, limit=limit)

    async def impact_of_agent(self, identifier: str, change: Stopping, *, by: Operator) -> Impact:
        """Return what a change of an agent would end.

        Raises: NotFound, StateConflict when it could not be made, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation, hold=False))
            next_state(agent.state, change)
            return await work.impact_of_agent(agent, now=self.office.clock())

    async def impact_of_credential(self, identifier: str, *, by: Operator) -> Impact:
        """Return what the revocation of a credential would end.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            grant = await work.grant(identifier, organisation=by.organisation)
            holder = (
                None if grant is None else await work.agent(grant.agent_id, organisation=by.organisation, hold=False)
            )
            try:
                require_within(by, holder)
            except NotFound as error:
                raise NotFound("there is no such credential") from error
            return await work.impact_of_credential(identifier, organisation=by.organisation, now=self.office.clock())

    async def impact_of_switch(self, scope: Scope, target: str, *, by: Operator) -> Impact:
        """Return what a kill switch would end.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.impact_of_switch(scope, target, organisation=by.organisation, now=self.office.clock())


async def _require_brought(work: Work, agent: Agent, *, owner: str, sponsor: str, by: Operator) -> None:
    """Return when who answers for an agent may change with its hands: a new owner brings a sponsor of its own.

    Raises: InsufficientScope, StoreUnavailable.
    """
    if own_alone(by) is not None and owner == agent.owner:
        raise InsufficientScope("issuer:manage is needed to change who answers for an agent that one keeps")
    await require_sponsors(work, [sponsor], by=replace(by, principal=owner))


def _differences(before: Agent, after: Agent) -> str:
    names = [name.name for name in fields(Description) if getattr(before, name.name) != getattr(after, name.name)]
    return f"{', '.join(names)} changed" if names else "nothing changed"


def _happening(before: Agent, after: Agent, event: Event, *, reason: str, by: Operator) -> Happening:
    return Happening(
        organisation=after.organisation,
        agent_id=after.agent_id,
        event=event,
        before=before.state,
        after=after.state,
        actor=by.principal or "",
        reason=reason,
        at=after.changed,
    )
