"""Workloads that start with no secret: a platform vouches for them, and a rule says which agents they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from did_agent.errors import InvalidParameter, NotFound, Replayed, StateConflict
from did_agent.keys.public import PublicKey
from did_agent.presentation.model import VerifiedPresentation
from issuer.attestation import (
    Attestation,
    Attested,
    choose_rule,
    fill,
    judge_attestation,
    parse_attestation,
    pinned_key,
    require_rule,
)
from issuer.enrolment import prove_for
from issuer.model import Agent, Grant, Operator
from issuer.model.enrolment import AttestationRule, Enrolled
from issuer.model.status import Place
from issuer.ports import Work
from issuer.ports.enrolment import WorkloadKeys
from issuer.service.admission import Admission, Admitted, Wanted
from issuer.service.binding import identity_of, places_for, replace_key
from issuer.service.office import Office

PURPOSE = "attestation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestations:
    """Platforms' word on programs."""

    office: Office
    keys: WorkloadKeys

    async def put(self, rule: AttestationRule, *, by: Operator) -> AttestationRule:
        """Keep a rule, in place of one of its name.

        Raises: InvalidParameter, NotFound for a blueprint that is not there, StoreUnavailable.
        """
        kept = replace(
            rule,
            organisation=by.organisation,
            owner=rule.owner or by.principal or "",
            created=self.office.clock(),
            by=by.principal or "",
        )
        require_rule(kept)
        async with self.office.store.work() as work:
            if await work.template(kept.template, organisation=by.organisation) is None:
                raise NotFound("there is no such blueprint")
            await work.put_attestation_rule(kept)
            words = f"workloads of {kept.issuer} with {dict(kept.claims)} are {kept.template}"
            await work.record(self.office.event(by, "attestation-rule.put", kept.name, words[:500]))
        self.office.news.wake_audit()
        return kept

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[AttestationRule]:
        """Return rules by name.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.attestation_rules(organisation=by.organisation, after=after, limit=limit)

    async def remove(self, name: str, *, by: Operator) -> None:
        """Believe a platform no more by this rule; agents that came by it stay.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            if not await work.remove_attestation_rule(name, organisation=by.organisation):
                raise NotFound("there is no such rule")
            await work.record(self.office.event(by, "attestation-rule.remove", name, "workloads come in by it no more"))
        self.office.news.wake_audit()

    async def enrol(self, text: str, possession: str, *, organisation: str, request_id: str) -> Enrolled:
        """Let the workload a token is about act with the key that proved itself for exactly this token.

        A workload that comes with another key than before gets it bound as its rule says.
        Raises: Malformed, VerificationError, BadGrant, NotFound, InvalidParameter, StateConflict, Unavailable.
        """
        now = self.office.clock()
        attestation = parse_attestation(text)
        proven = prove_for(text, possession, issuer_url=self.office.url, now=now)
        async with self.office.store.work() as work:
            rules = await work.attestation_rules(organisation=organisation, issuer=attestation.issuer)
        rule = choose_rule(attestation, rules)
        key = await self._key(attestation, rule)
        attested = judge_attestation(
            attestation, rule, key=key, holder=proven.holder, expected_audience=self.office.url, now=now
        )
        async with self.office.store.work() as work:
            known = await self._known(work, attested)
        places = await places_for(self.office, known, now)
        async with self.office.store.work() as work:
            entry = Admission(office=self.office, work=work, now=now, request_id=request_id)
            await entry.spend(proven)
            if not await work.spend(PURPOSE, attested.spend, expires=attested.spend_until):
                raise Replayed("this token let somebody in before")
            # Read again: a rule that was removed meanwhile lets nobody in.
            if rule not in await work.attestation_rules(organisation=organisation, issuer=attestation.issuer):
                raise StateConflict("the rule was changed at this moment")
            enrolled = await self._let_in(entry, attested, proven, places)
        self.office.news.wake_audit()
        if known is not None:
            await self.office.news.push()
        return enrolled

    async def _key(self, attestation: Attestation, rule: AttestationRule) -> PublicKey:
        if rule.jwks is not None:
            return pinned_key(rule, attestation.kid)
        return await self.keys.find(rule.issuer, rule.jwks_uri, attestation.kid)

    async def _known(self, work: Work, attested: Attested) -> Agent | None:
        identifier = await work.workload(attested.rule, attested.workload)
        organisation = attested.rule.organisation
        return None if identifier is None else await work.agent(identifier, organisation=organisation)

    async def _let_in(
        self, entry: Admission, attested: Attested, proven: VerifiedPresentation, places: Iterator[Place]
    ) -> Enrolled:
        rule, work = attested.rule, entry.work
        admitted = Admitted(source="attestation", source_id=rule.name, by=rule.by, needs_approval=rule.needs_approval)
        agent = await self._known(work, attested)
        if agent is None:
            template = await work.template(rule.template, organisation=rule.organisation)
            if template is None:
                raise InvalidParameter("the blueprint of this rule is gone")
            agent = await entry.register(template, _wanted(attested))
            if not await work.add_workload(rule, attested.workload, agent):
                raise StateConflict("the same workload enrolled at the same moment")
            return await entry.settle(agent, proven.holder, admitted)
        return await self._again(entry, attested, agent, proven.holder, admitted, places)

    async def _again(  # what is known of a workload that came back
        self,
        entry: Admission,
        attested: Attested,
        agent: Agent,
        did: str,
        admitted: Admitted,
        places: Iterator[Place],
    ) -> Enrolled:
        rule, waits = attested.rule, await self._waits(entry.work, agent)
        if agent.state == "pending" and waits:
            return await entry.wait(agent, did, admitted, asking="enrol")  # restarted before its owner answered
        if agent.state != "active":
            raise StateConflict(f"{agent.name} is {agent.state}")
        if rule.rebind == "refuse":
            raise StateConflict(f"{agent.name} has a key, and its rule lets it have no other")
        if rule.rebind == "approve":
            return await entry.wait(agent, did, admitted, asking="rebind")
        changed, made = await replace_key(
            entry.work, self.office, agent, did, why="rebound", places=places, now=entry.now
        )
        await entry.record(agent, did, "agent.rebind", _said(agent, made))
        return Enrolled(agent=changed, identity=identity_of(self.office, changed, entry.now))

    async def _waits(self, work: Work, agent: Agent) -> bool:
        """Tell whether an agent waits for its first key to be approved, and not for a key after a loss."""
        return not await work.keys(agent.organisation, agent.agent_id, limit=1)


def _wanted(attested: Attested) -> Wanted:
    rule, claims = attested.rule, attested.token.claims
    return Wanted(
        name=attested.name,
        owner=rule.owner,
        sponsor=rule.sponsor,
        tags=rule.tags,
        metadata={name: fill(value, claims) for name, value in rule.metadata.items()},
    )


def _said(agent: Agent, made: Sequence[Grant]) -> str:
    return f"the workload {agent.name} came back with another key; {len(made)} credentials went over"
