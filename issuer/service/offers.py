"""Credential offers for operators: make, look at, decide, withdraw; and the offer as its wallet fetches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from did_agent.errors import NotFound, StateConflict
from issuer.access import own_alone, require_within
from issuer.granting import decide_terms, require_may_grant
from issuer.model import Agent, Operator
from issuer.model.grants import Terms
from issuer.model.offers import NewOffer, Offer, OfferSecrets, Verdict
from issuer.naming import require_text
from issuer.offers import decided, digest_of, make_offer, offer_object
from issuer.ports import Work
from issuer.service.granting import require_within_policy, templates_for_managers
from issuer.service.offer_issuing import require_enrollable
from issuer.service.office import Office
from issuer.service.separation import require_not_handed_over

_ACTIONS: Mapping[Verdict, str] = {"approved": "offer.approve", "denied": "offer.deny"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What is offered to agents."""

    office: Office
    bridge_url: str

    async def create(self, new: NewOffer, *, by: Operator) -> tuple[Offer, OfferSecrets]:
        """Offer credentials to an agent; a pending one brings its key when it takes the offer.

        What a template wants approved waits for that when it is taken.
        Raises: NotFound, StateConflict, InvalidParameter, InsufficientScope, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(new.agent, organisation=by.organisation))
            if agent.state == "pending":
                await require_enrollable(self.office, work, agent)
            terms, is_sensitive = await _terms(work, new, by=by, now=now)
            wanted = replace(new, needs_approval=new.needs_approval or is_sensitive)
            offer, secrets = make_offer(wanted, agent, terms, by=by, now=now)
            await work.add_offer(offer)
            said = f"{agent.name} is offered {', '.join(offer.configurations)}"
            if offer.terms is not None:
                tools = sorted({tool for capability in offer.terms.capabilities for tool in capability.tools})
                said += f" for {', '.join(tools)}"
            event = self.office.event(by, "offer.create", offer.id, said[:500])
            await work.record(replace(event, details={**event.details, "agent": agent.did or agent.agent_id}))
        self.office.news.wake_audit()
        return offer, secrets

    async def list(
        self, *, agent: str | None, after: tuple[datetime, str] | None, limit: int, by: Operator
    ) -> Sequence[Offer]:
        """Return offers, newest first; a sponsor sees those to its own agents.

        Raises: NotFound when there is no such agent, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            found = None
            if agent is not None:
                known = await work.agent(agent, organisation=by.organisation, hold=False)
                found = require_within(by, known).agent_id
            return await work.offers(
                organisation=by.organisation, agent_id=found, after=after, limit=limit, owner=own_alone(by)
            )

    async def show(self, identifier: str, *, by: Operator) -> Offer:
        """Return one offer.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return (await _offered(work, identifier, by))[0]

    async def withdraw(self, identifier: str, *, reason: str, by: Operator) -> Offer:
        """End an offer, and the tokens and waiting requests that were opened with it; what was issued stays.

        Raises: NotFound, StateConflict, InvalidParameter, StoreUnavailable.
        """
        reason = require_text("reason", reason)
        async with self.office.store.work() as work:
            offer, _ = await _offered(work, identifier, by)
            if not await work.withdraw_offer(offer.id):
                raise StateConflict("the offer was withdrawn before")
            await work.record(self.office.event(by, "offer.withdraw", offer.id, reason))
        self.office.news.wake_audit()
        return replace(offer, withdrawn=True)

    async def decide(self, identifier: str, verdict: Verdict, *, reason: str, by: Operator) -> Offer:
        """Say yes or no to an offer that needs approval; a yes is by somebody else, who may grant it too.

        Raises: NotFound, StateConflict, InvalidParameter, InsufficientScope, StoreUnavailable.
        """
        reason = require_text("reason", reason)
        async with self.office.store.work() as work:
            found, agent = await _offered(work, identifier, by)
            policy = await work.granting_policy(by.organisation)
            offer = decided(found, verdict, agent, policy, by=by)
            if verdict == "approved" and policy.separation:
                await require_not_handed_over(work, agent, since=found.created, by=by)
            if verdict == "approved" and offer.terms is not None:
                await require_within_policy(work, offer.terms, by=by)
            if not await work.decide_offer(offer.id, verdict):
                raise StateConflict("somebody else decided meanwhile")
            await work.record(self.office.event(by, _ACTIONS[verdict], offer.id, reason))
        self.office.news.wake_audit()
        return offer

    async def fetch(self, handle: str) -> Mapping[str, object]:
        """Return the offer object behind the secret in `credential_offer_uri`, while it can be taken.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            offer = await work.offer_by_handle(digest_of(handle))
        if offer is None or offer.state_at(self.office.clock()) != "open":
            raise NotFound("there is no such offer")
        return self.object_of(offer, handle)

    def object_of(self, offer: Offer, handle: str) -> Mapping[str, object]:
        """Return the offer object for the wallet."""
        return offer_object(offer, handle, issuer_url=self.office.url, bridge_url=self.bridge_url)


async def _terms(work: Work, new: NewOffer, *, by: Operator, now: datetime) -> tuple[Terms | None, bool]:
    """Return what a capability credential will say, within what its maker may grant; and whether it is sensitive."""
    grant = new.grant
    if grant is None:
        return None, False
    template = None
    if grant.template is not None:
        found = await work.capability_templates(organisation=by.organisation, names=[grant.template], limit=1)
        if not found:
            raise NotFound("there is no such capability template")
        template = found[0]
    policy = await work.granting_policy(by.organisation)
    terms = decide_terms(grant, template, policy, now=now)
    require_may_grant(by, terms, policy, await templates_for_managers(work, by))
    return terms, template is not None and template.needs_approval


async def _offered(work: Work, identifier: str, by: Operator) -> tuple[Offer, Agent]:
    offer = await work.offer(identifier, organisation=by.organisation)
    agent = None if offer is None else await work.agent(offer.agent_id, organisation=by.organisation)
    try:
        agent = require_within(by, agent)
    except NotFound:
        offer = None
    if offer is None or agent is None:
        raise NotFound("there is no such offer")
    return offer, agent
