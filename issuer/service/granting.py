"""Issuing, suspending, resuming and revoking credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.audit.event import AuditEvent
from did_agent.credential.capability import Capability
from did_agent.credential.issuance import new_id
from did_agent.errors import DidAgentError, InvalidParameter, NotFound, StateConflict, StoreUnavailable
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.access import own_alone, require_within
from issuer.granting import decide_terms, grant_capabilities, require_alone, require_may_grant
from issuer.model import Agent, Grant, GrantState, Notice, Operator
from issuer.model.grants import MAX_BULK, CapabilityTemplate, GrantingPolicy, NewGrant, Retry, Terms
from issuer.model.status import Place
from issuer.naming import require_text
from issuer.ports import Work
from issuer.service.ending import end_credentials
from issuer.service.gathering import Gathering
from issuer.service.office import Office
from issuer.service.status import StatusRoom

REMEMBERED: Final = timedelta(days=1)  # how long a request is known by its Idempotency-Key
MAX_TEMPLATES: Final = 1_000  # of an organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """What agents were granted."""

    office: Office
    _single: Gathering[_Asked, Grant] = field(default_factory=Gathering, repr=False, compare=False)

    async def issue(  # what an operator may say of a grant
        self,
        identifier: str,
        capabilities: Sequence[Capability] = (),
        *,
        by: Operator,
        valid_seconds: int | None = None,
        max_depth: int | None = None,
        on_behalf_of: str | None = None,
        cryptosuite: str = DEFAULT_SUITE,
        template: str | None = None,
        renewable_seconds: int = 0,
        retry: Retry | None = None,
    ) -> Grant:
        """Grant capabilities, or what a template says, to an active agent.

        Raises: NotFound, StateConflict, InvalidParameter, InsufficientScope, BadCredential, StoreUnavailable.
        """
        new = NewGrant(
            agent=identifier,
            capabilities=tuple(capabilities),
            template=template,
            valid_seconds=valid_seconds,
            max_depth=max_depth,
            renewable_seconds=renewable_seconds,
            on_behalf_of=on_behalf_of,
        )
        if retry is not None:
            (made,) = await self.issue_many([new], by=by, cryptosuite=cryptosuite, retry=retry)
            return made
        (place,) = await StatusRoom(office=self.office).take(by.organisation)
        asked = _Asked(new=new, by=by, place=place, cryptosuite=cryptosuite)
        return await self._single.ask(by.organisation, asked, self._issue_together)

    async def issue_many(
        self, wanted: Sequence[NewGrant], *, by: Operator, cryptosuite: str = DEFAULT_SUITE, retry: Retry | None = None
    ) -> Sequence[Grant]:
        """Grant to many agents, all or none; a request that was made before is answered as it was.

        Raises: NotFound, StateConflict, InvalidParameter, InsufficientScope, BadCredential, StoreUnavailable.
        """
        if not 0 < len(wanted) <= MAX_BULK:
            raise InvalidParameter(f"entries: 1 to {MAX_BULK}")
        places = await StatusRoom(office=self.office).take(by.organisation, len(wanted))
        asked = [
            _Asked(new=new, by=by, place=place, cryptosuite=cryptosuite)
            for new, place in zip(wanted, places, strict=True)
        ]
        async with self.office.store.work() as work:
            if retry is not None and (known := await work.remembered(retry, organisation=by.organisation)) is not None:
                return await work.grants_by_id(known, organisation=by.organisation)
            book = await _Book.open(work, asked)
            made = [self._granted(one, book) for one in asked]
            await self._keep(work, made, retry=retry, by=by)
            await self._record(work, [(one.by, grant) for one, grant in zip(asked, made, strict=True)], book)
        self.office.news.wake_audit()
        return made

    async def list(
        self,
        *,
        agent: str | None,
        state: GrantState | None,
        after: tuple[datetime, str] | None = None,
        limit: int,
        by: Operator,
    ) -> Sequence[Grant]:
        """Return credentials, newest first; a sponsor sees those of its own agents.

        Raises: NotFound when there is no such agent, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            found = None
            if agent is not None:
                found = require_within(by, await work.agent(agent, organisation=by.organisation, hold=False))
            return await work.grants(
                organisation=by.organisation,
                agent_id=None if found is None else found.agent_id,
                state=state,
                now=self.office.clock(),
                limit=limit,
                owner=own_alone(by),
                after=after,
            )

    async def show(self, identifier: str, *, by: Operator) -> Grant:
        """Return one credential.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return (await held_grant(work, identifier, by))[0]

    async def revoke(self, identifier: str, *, reason: str, by: Operator) -> tuple[Grant, bool]:
        """Revoke a credential with all of its line, for good; say also whether the bridge has heard already.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            grant, _ = await held_grant(work, identifier, by)
            line = await work.lineage(identifier, organisation=grant.organisation, now=now)
            ended = await end_credentials(work, line, organisation=grant.organisation, reason=reason, now=now)
            event = self.office.event(by, "credential.revoke", identifier, reason)
            ids = tuple(dict.fromkeys((identifier, *ended)))
            await work.record(replace(event, credential_ids=ids, details={**event.details, "agent": grant.did}))
        self.office.news.wake_audit()
        return replace(grant, revoked=grant.revoked or now), await self.office.news.push()

    async def pause(
        self, identifier: str, change: Literal["suspend", "resume"], *, reason: str, by: Operator
    ) -> tuple[Grant, bool]:
        """Suspend a credential with all of its line, or take that back; say also whether the bridge has heard.

        Raises: NotFound, StateConflict, InvalidParameter, StoreUnavailable.
        """
        now, reason, is_suspending = self.office.clock(), require_text("reason", reason), change == "suspend"
        async with self.office.store.work() as work:
            grant, agent = await held_grant(work, identifier, by)
            if (state := grant.state_at(now)) != ("active" if is_suspending else "suspended"):
                raise StateConflict(f"a credential that is {state} cannot {change}")
            line = await work.lineage(identifier, organisation=grant.organisation, now=now)
            changed = await (work.suspend_grants(line, now) if is_suspending else work.resume_grants(line, now))
            if is_suspending or agent.state == "active":
                # The bit of a suspended agent's credential stays until the agent comes back (REV-03).
                await work.flip_credentials(changed, "suspension", value=is_suspending)
            kind: Literal["credential-suspended", "credential-resumed"] = (
                "credential-suspended" if is_suspending else "credential-resumed"
            )
            await work.add_notices(
                [Notice(id=new_id(), kind=kind, subject=one, reason=reason, at=now) for one in changed]
            )
            event = self.office.event(by, f"credential.{change}", identifier, reason)
            details = {**event.details, "agent": grant.did}
            await work.record(replace(event, credential_ids=tuple(changed), details=details))
        self.office.news.wake_audit()
        return replace(grant, suspended=now if is_suspending else None), await self.office.news.push()

    async def _issue_together(self, asked: Sequence[_Asked]) -> Sequence[Grant | DidAgentError]:
        """Grant to each that may be granted to, all of one organisation, in one transaction."""
        answers: list[Grant | DidAgentError] = []
        async with self.office.store.work() as work:
            book = await _Book.open(work, asked)
            for one in asked:
                try:
                    answers.append(self._granted(one, book))
                except DidAgentError as error:
                    answers.append(error)
            told = [(one.by, made) for one, made in zip(asked, answers, strict=True) if isinstance(made, Grant)]
            await work.add_grants([made for _, made in told])
            await self._record(work, told, book)
        self.office.news.wake_audit()
        return answers

    def _granted(self, asked: _Asked, book: _Book) -> Grant:
        """Return what somebody may grant, signed."""
        new, by = asked.new, asked.by
        agent, template = require_within(by, book.agents.get(new.agent)), book.template(new)
        terms = decide_terms(new, template, book.policy, now=self.office.clock())
        require_alone(template)
        require_may_grant(by, terms, book.policy, book.for_managers)
        return make_grant(self.office, agent, terms, place=asked.place, cryptosuite=asked.cryptosuite)

    async def _keep(self, work: Work, made: Sequence[Grant], *, retry: Retry | None, by: Operator) -> None:
        await work.add_grants(made)
        now = self.office.clock()
        if retry is not None and not await work.remember(
            retry, [grant.id for grant in made], organisation=by.organisation, now=now, expires=now + REMEMBERED
        ):
            raise StoreUnavailable("the same request is being made: try again")

    async def _record(self, work: Work, made: Sequence[tuple[Operator, Grant]], book: _Book) -> None:
        names = {agent.agent_id: agent.name for agent in book.agents.values()}
        await work.record_all([issue_event(self.office, by, grant, names[grant.agent_id]) for by, grant in made])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One credential that somebody asks for, and the place it gets."""

    new: NewGrant
    by: Operator
    place: Place
    cryptosuite: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """What an organisation says of granting and the agents it is asked for, looked up once for all of a transaction."""

    policy: GrantingPolicy
    agents: dict[str, Agent]  # by what they were asked for
    named: dict[str, CapabilityTemplate] = field(default_factory=dict)
    for_managers: Sequence[CapabilityTemplate] = ()

    @classmethod
    async def open(cls, work: Work, asked: Sequence[_Asked]) -> _Book:
        organisation = asked[0].by.organisation
        policy = await work.granting_policy(organisation)
        names = sorted({one.new.template for one in asked if one.new.template is not None})
        named = (
            await work.capability_templates(organisation=organisation, names=names, limit=len(names)) if names else ()
        )
        bounded = next((one.by for one in asked if "admin" not in one.by.roles), asked[0].by)
        return cls(
            policy=policy,
            agents=await _agents(work, [one.new.agent for one in asked], organisation),
            named={one.name: one for one in named},
            for_managers=await templates_for_managers(work, bounded),
        )

    def template(self, new: NewGrant) -> CapabilityTemplate | None:
        """Return the template of a grant.  Raises: NotFound."""
        if new.template is None:
            return None
        if new.template not in self.named:
            raise NotFound("there is no such capability template")
        return self.named[new.template]


async def _agents(work: Work, names: Sequence[str], organisation: str) -> dict[str, Agent]:
    if len(names) > 1:
        return await work.agents_by_name(names, organisation=organisation)
    found = await work.agent(names[0], organisation=organisation)  # the common case, by the quicker query
    return {} if found is None else {names[0]: found}


async def templates_for_managers(work: Work, by: Operator) -> Sequence[CapabilityTemplate]:
    """Return the templates that bound what a manager grants; nothing bounds an admin."""
    if "admin" in by.roles:
        return ()
    found = await work.capability_templates(organisation=by.organisation, limit=MAX_TEMPLATES)
    return [one for one in found if one.managers]


async def require_within_policy(work: Work, terms: Terms, *, by: Operator) -> None:
    """Return when somebody may grant this in whatever way.  Raises: InsufficientScope."""
    policy = await work.granting_policy(by.organisation)
    require_may_grant(by, terms, policy, await templates_for_managers(work, by))


def make_grant(office: Office, agent: Agent, terms: Terms, *, place: Place, cryptosuite: str = DEFAULT_SUITE) -> Grant:
    """Return a signed credential that says what was decided.

    Raises: StateConflict, InvalidParameter, BadCredential.
    """
    return grant_capabilities(
        agent,
        terms.capabilities,
        key=office.key_for(agent.organisation, place),
        issuer_url=office.url,
        place=place,
        valid_seconds=terms.valid_seconds,
        max_depth=terms.max_depth,
        on_behalf_of=terms.on_behalf_of,
        cryptosuite=cryptosuite,
        now=office.clock(),
        source=terms.source,
    )


def issue_event(office: Office, by: Operator, grant: Grant, name: str, action: str = "credential.issue") -> AuditEvent:
    """Return the event of a credential that was issued."""
    source = {"template": grant.source.template, "role": grant.source.role, "request": grant.source.request_id}
    event = office.event(by, action, grant.id, f"{name} may {', '.join(_tools(grant))}"[:500])
    details = {key: value for key, value in source.items() if value is not None}
    return replace(event, credential_ids=(grant.id,), details={**event.details, "agent": grant.did, **details})


def _tools(grant: Grant) -> Sequence[str]:
    subject = grant.document["credentialSubject"]
    entries = subject["capability"] if isinstance(subject, dict) else ()
    return sorted({tool for entry in entries for tool in entry["tools"]})


async def held_grant(work: Work, identifier: str, by: Operator) -> tuple[Grant, Agent]:
    """Return a credential and its agent, held until the transaction ends, if they are the asker's to see.

    Raises: NotFound.
    """
    grant = await work.grant(identifier, organisation=by.organisation)
    agent = None if grant is None else await work.agent(grant.agent_id, organisation=by.organisation)
    try:
        agent = require_within(by, agent)
    except NotFound:
        grant = None
    if grant is None or agent is None:
        raise NotFound("there is no such credential")
    return grant, agent
