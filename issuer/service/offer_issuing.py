"""Issuing one credential of an offer inside the transaction of its request, in the form that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from did_agent.errors import CredentialRequestDenied, StateConflict, StoreUnavailable
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.configurations import Configuration
from issuer.granting import identify
from issuer.model import Agent, Operator
from issuer.model.offers import Offer
from issuer.model.status import Place
from issuer.ports import Work
from issuer.sd_jwt_credentials import capability_sd_jwt, identity_sd_jwt
from issuer.service.admission import Admission
from issuer.service.binding import bind_first
from issuer.service.granting import issue_event, make_grant
from issuer.service.office import Office
from issuer.status_lists import require_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A credential as the wallet gets it."""

    id: str
    credential: object


async def require_enrollable(office: Office, work: Work, agent: Agent) -> None:
    """Return when whoever takes an offer may bring the key of a pending agent.

    Raises: StateConflict.
    """
    if await work.keys(agent.organisation, agent.agent_id, limit=1):
        # What it held goes over to the next key by its invitation alone; an older offer must not be a way around.
        raise StateConflict(f"{agent.name} lost its key and enrols by its invitation")
    if await Admission(office=office, work=work, now=office.clock(), request_id="").asks_owner(agent):
        raise StateConflict(f"the owner of {agent.name} is asked before it enrols: by its invitation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """Issues within one transaction."""

    office: Office
    work: Work
    by: Operator
    now: datetime

    async def enrol(self, agent: Agent, did: str) -> Agent:
        """Bind the proven key to a pending agent that never had one; it is active from now on.

        Raises: CredentialRequestDenied when it enrols another way, the key is another agent's, or a kill switch is on.
        """
        try:
            await require_enrollable(self.office, self.work, agent)
            active = await bind_first(self.work, agent, did, by=did, reason="took an offer", now=self.now)
        except StateConflict as error:
            raise CredentialRequestDenied(error.detail) from error
        event = self.office.event(self.by, "agent.enrol", agent.agent_id, f"{agent.name} proved its key for an offer")
        await self.work.record(event)
        return active

    async def issue(self, offer: Offer, agent: Agent, configuration: Configuration) -> Made:
        """Issue one credential of the offer.

        Raises: CredentialRequestDenied, StoreUnavailable.
        """
        key, url = self.office.key_of(agent.organisation), self.office.url
        if configuration.kind == "capability":
            return await self._capability(offer, agent, configuration)
        if configuration.form == "dc+sd-jwt":
            identifier, credential = identity_sd_jwt(agent, key=key, issuer_url=url, now=self.now)
            made = Made(id=identifier, credential=credential)
        else:
            suite = configuration.cryptosuite or ""
            document = identify(agent, key=key, now=self.now, cryptosuite=suite)
            made = Made(id=str(document["id"]), credential=document)
        await self._record(made, offer, agent, f"{agent.name} is who it is")
        return made

    async def _capability(self, offer: Offer, agent: Agent, configuration: Configuration) -> Made:
        if offer.terms is None:
            raise CredentialRequestDenied("the offer holds no capabilities")
        await self._require_standing(offer.terms.source.template, agent.organisation)
        place, suite = await self._place(agent.organisation), configuration.cryptosuite or DEFAULT_SUITE
        grant = make_grant(self.office, agent, offer.terms, place=place, cryptosuite=suite)
        credential: object = grant.document
        if configuration.form == "dc+sd-jwt":
            # It is not kept: the record holds the same facts, without the proof they would have as VCDM.
            grant = replace(grant, document={name: grant.document[name] for name in grant.document if name != "proof"})
            key = self.office.key_for(agent.organisation, place)
            credential = capability_sd_jwt(grant, key=key, issuer_url=self.office.url)
        if not await self.work.add_grant(grant):
            raise StoreUnavailable("the place in the status list is taken")
        event = issue_event(self.office, self.by, grant, agent.name)
        await self.work.record(replace(event, details={**event.details, "offer": offer.id}))
        return Made(id=grant.id, credential=credential)

    async def _require_standing(self, name: str | None, organisation: str) -> None:
        """Return when what was offered still stands: a template's withdrawal ends the offers that were made from it."""
        if name is None:
            return
        found = await self.work.capability_template(name, organisation=organisation)
        if found is None or found.withdrawn is not None:
            raise CredentialRequestDenied(f"{name} is withdrawn")

    async def _place(self, organisation: str) -> Place:
        size, issuer = self.office.list_size, self.office.did_of(organisation)
        (lease,) = await self.work.lease(organisation, 1, issuer=issuer, size=size, capacity=require_size(size))
        self.office.places.remember(issuer, [lease])
        return next(lease.places())

    async def _record(self, made: Made, offer: Offer, agent: Agent, words: str) -> None:
        event = self.office.event(self.by, "credential.issue", made.id, words[:500])
        details = {**event.details, "agent": str(agent.did), "offer": offer.id}
        await self.work.record(replace(event, credential_ids=(made.id,), details=details))
