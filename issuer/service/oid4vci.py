"""The credential endpoint and what surrounds it (OpenID4VCI 1.0, 7 to 11): an agent's key is proven, a grant issued.

What is issued was decided when the offer was made; here it is only asked whose key it gets bound to, and that this
agent is active now.  It goes into the same tables as every other credential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from did_agent.errors import (
    BadProofNonce,
    CredentialRequestDenied,
    InsufficientScope,
    NoResponseEncryption,
    StoreUnavailable,
    UnknownConfiguration,
    UnknownNotification,
    UnknownTransaction,
)
from did_agent.tokens.challenges import CHALLENGE_SECONDS, make_challenge
from issuer.configurations import CONFIGURATIONS, Configuration, credential_issuer
from issuer.key_proofs import CredentialRequest, Proven, judge_proofs, read_request, require_client
from issuer.model import Agent, Operator
from issuer.model.offers import Deferred, Notifiable, Offer
from issuer.notifications import Notification
from issuer.offers import WAITING_SECONDS, digest_of, new_secret, require_holder, require_offered
from issuer.ports import Work
from issuer.service.offer_issuing import Issuing
from issuer.service.offer_tokens import Opened
from issuer.service.office import Office

_PURPOSE = "c_nonce"
_NOTIFIABLE = timedelta(days=1)  # how long a wallet may tell what became of a credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the wallet gets: credentials, or the promise of them."""

    credentials: Sequence[object] = ()
    notification_id: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallets:
    """Serves the wallets of agents."""

    office: Office
    nonce_key: bytes = field(repr=False)

    def nonce(self) -> str:
        """Return a fresh `c_nonce`; it needs no row until it is spent."""
        return make_challenge(self.nonce_key, now=self.office.clock())

    async def credential(self, members: Mapping[str, object], opened: Opened, *, by: Operator) -> Answer:
        """Issue what an offer holds to the key that proves itself, or keep the request until somebody decided.

        Raises: BadCredentialRequest leaves, BadKeyProof, BadProofNonce, CredentialRequestDenied, InsufficientScope,
        StoreUnavailable.
        """
        now = self.office.clock()
        asked = read_request(members, identifiers=opened.identifiers)
        configuration = _permitted(asked, opened)
        audience = credential_issuer(self.office.url)
        proven = judge_proofs(asked, audience=audience, nonce_key=self.nonce_key, now=now)
        require_client(proven, opened.client_id)
        async with self.office.store.work() as work:
            await _spend_nonces(work, proven, now)
            offer = await _offer_of(work, opened, asked, proven, now)
            waiting = await work.deferred_count(offer.id, asked.configuration)
            require_offered(offer, asked.configuration, proven.count + waiting, now=now)
            agent = await work.agent(offer.agent_id, organisation=offer.organisation)
            agent = require_holder(offer, agent, proven.did)
            if offer.needs_approval and offer.verdict != "approved":
                answer = await self._defer(work, offer, configuration, proven, by=_as(by, offer, opened, proven.did))
            else:
                who = _as(by, offer, opened, proven.did)
                answer = await self._issue(work, offer, agent, configuration, proven.did, proven.count, by=who)
        self.office.news.wake_audit()
        return answer

    async def deferred(self, members: Mapping[str, object], opened: Opened, *, by: Operator) -> Answer:
        """Issue what was promised once somebody said yes; until then the same promise comes back.

        Raises: UnknownTransaction, CredentialRequestDenied, NoResponseEncryption, StoreUnavailable.
        """
        if "credential_response_encryption" in members:
            raise NoResponseEncryption("credential_response_encryption is not offered in the metadata")
        transaction = members.get("transaction_id")
        if not isinstance(transaction, str):
            raise UnknownTransaction("transaction_id is a text")
        now = self.office.clock()
        async with self.office.store.work() as work:
            kept = await work.deferred(digest_of(transaction))
            offer = None if kept is None else await work.offer(kept.offer_id, organisation=None)
            if kept is None or offer is None or kept.expires <= now or not _is_of(offer, opened):
                raise UnknownTransaction("the transaction is not known, over, or another's")
            if offer.verdict is None:
                return Answer(transaction_id=transaction)
            require_offered(offer, kept.configuration, kept.count, now=now)
            agent = await work.agent(offer.agent_id, organisation=offer.organisation)
            agent = require_holder(offer, agent, kept.did)
            if not await work.remove_deferred(kept.digest):
                raise UnknownTransaction("the transaction was finished meanwhile")
            who = _as(by, offer, opened, kept.did)
            configuration = CONFIGURATIONS[kept.configuration]
            answer = await self._issue(work, offer, agent, configuration, kept.did, kept.count, by=who)
        self.office.news.wake_audit()
        # Without a notification id, which is optional: a widespread wallet library refuses the answer with one.
        return replace(answer, notification_id=None)

    async def notify(self, said: Notification, opened: Opened, *, by: Operator) -> None:
        """Record what became of credentials in the wallet.

        Raises: UnknownNotification, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            kept = await work.notifiable(digest_of(said.id))
            offer = None if kept is None else await work.offer(kept.offer_id, organisation=None)
            if kept is None or offer is None or kept.expires <= now or not _is_of(offer, opened):
                raise UnknownNotification("the notification is not known, or another's")
            agent = await work.agent(offer.agent_id, organisation=offer.organisation)
            who = _as(by, offer, opened, "" if agent is None else agent.did or "")
            event = self.office.event(who, "offer.notify", offer.id, said.words)
            details = {**event.details, "event": said.event}
            await work.record(replace(event, credential_ids=kept.credential_ids, details=details))
        self.office.news.wake_audit()

    async def _defer(
        self, work: Work, offer: Offer, configuration: Configuration, proven: Proven, *, by: Operator
    ) -> Answer:
        now, transaction = self.office.clock(), new_secret()
        kept = Deferred(
            digest=digest_of(transaction),
            offer_id=offer.id,
            configuration=configuration.id,
            count=proven.count,
            did=proven.did,
            expires=now + timedelta(seconds=WAITING_SECONDS),
        )
        await work.add_deferred(kept, now=now)
        event = self.office.event(by, "offer.defer", offer.id, f"{configuration.id} waits for approval")
        await work.record(replace(event, details={**event.details, "agent": proven.did}))
        return Answer(transaction_id=transaction)

    async def _issue(
        self,
        work: Work,
        offer: Offer,
        agent: Agent,
        configuration: Configuration,
        did: str,
        count: int,
        *,
        by: Operator,
    ) -> Answer:
        now = self.office.clock()
        issuing = Issuing(office=self.office, work=work, by=by, now=now)
        if agent.state == "pending":
            agent = await issuing.enrol(agent, did)
        made = [await issuing.issue(offer, agent, configuration) for _ in range(count)]
        issued = {**offer.issued, configuration.id: offer.issued.get(configuration.id, 0) + count}
        if not await work.count_issued(offer, issued):
            raise StoreUnavailable("somebody else was issued from this offer meanwhile")
        notification = new_secret()
        ids = tuple(one.id for one in made)
        kept = Notifiable(
            digest=digest_of(notification), offer_id=offer.id, credential_ids=ids, expires=now + _NOTIFIABLE
        )
        await work.add_notifiable(kept, now=now)
        return Answer(credentials=[one.credential for one in made], notification_id=notification)


def _permitted(asked: CredentialRequest, opened: Opened) -> Configuration:
    configuration = CONFIGURATIONS.get(asked.configuration)
    if configuration is None:
        raise UnknownConfiguration("there is no such configuration")
    if not opened.gives(configuration.id):
        raise InsufficientScope(f"{configuration.scope} is needed")
    return configuration


async def _spend_nonces(work: Work, proven: Proven, now: datetime) -> None:
    for nonce in sorted(proven.nonces):
        if not await work.spend(_PURPOSE, nonce, expires=now + timedelta(seconds=CHALLENGE_SECONDS)):
            raise BadProofNonce("the nonce was used before")


async def _offer_of(work: Work, opened: Opened, asked: CredentialRequest, proven: Proven, now: datetime) -> Offer:
    """Return the offer a token opens; a person's token opens what was offered to this agent for this person."""
    if opened.offer_id is not None:
        offer = await work.offer(opened.offer_id, organisation=None)
        if offer is None:
            raise CredentialRequestDenied("the offer is gone")
        return offer
    agent = await work.agent(proven.did, organisation=None)
    found = () if agent is None else await work.offers_to(agent.agent_id, opened.person or "", now=now)
    for offer in found:
        left = offer.copies - offer.issued.get(asked.configuration, 0)
        if asked.configuration in offer.configurations and offer.state_at(now) == "open" and left > 0:
            return offer
    raise CredentialRequestDenied("nothing is offered to this agent for this person")


def _is_of(offer: Offer, opened: Opened) -> bool:
    return offer.id == opened.offer_id if opened.person is None else offer.person == opened.person


def _as(by: Operator, offer: Offer, opened: Opened, did: str) -> Operator:
    """Return who acts, for the record: the agent whose key was proven, for the person who signed in if there is one."""
    if opened.person is None:
        who = replace(by, organisation=offer.organisation, principal=did, kind="agent")
    else:
        who = replace(by, organisation=offer.organisation, principal=opened.person, kind="user", actors=(did,))
    return replace(who, client_id=opened.client_id or did, token_id=opened.token_id)
