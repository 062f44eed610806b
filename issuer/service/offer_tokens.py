"""Who may open an offer: a pre-authorized code, redeemed once for a token, or a person's token of the bridge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from did_agent.encoding.digest import digest_uri
from did_agent.errors import (
    BadDPoPProof,
    BadGrant,
    DidAgentError,
    NotAuthenticated,
    NotBound,
    UnauthorizedClient,
    UnknownResource,
)
from did_agent.tokens.confirmation import Confirmation
from issuer.configurations import CONFIGURATIONS, credential_issuer
from issuer.model import Operator
from issuer.model.offers import Offer, OfferToken
from issuer.offers import (
    TOKEN_SECONDS,
    WAITING_SECONDS,
    digest_of,
    is_tx_code,
    new_secret,
    require_redeemable,
    require_tx_form,
)
from issuer.ports import Work
from issuer.service.office import Office
from issuer.token_requests import TokenRequest, require_details
from verifier.http import Shown
from verifier.model import Admission
from verifier.sender import ProvenKeys, offered_keys, prove_keys, require_bound

_DOTS = 2  # of a compact JWS; our own tokens have none
_PURPOSE = "dpop"

Admit = Callable[[Shown], Awaitable[Admission]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a wallet may ask for: one offer, or those to its agent for the person who signed in."""

    offer_id: str | None
    person: str | None
    client_id: str | None
    identifiers: tuple[str, ...]
    scopes: frozenset[str]
    token_id: str | None = None

    def gives(self, configuration: str) -> bool:
        """Tell whether the token's scopes let a person ask for it; a code was made for everything in its offer."""
        return self.person is None or CONFIGURATIONS[configuration].scope in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """A token, shown once."""

    access_token: str
    token: OfferToken
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTokens:
    """The token endpoint of the credential issuer, and the door of its other endpoints."""

    office: Office
    admit: Admit  # of the bridge's tokens for the credential issuer

    async def redeem(self, asked: TokenRequest, shown: Shown, *, by: Operator) -> Redeemed | BadGrant:
        """Return a token for a pre-authorized code, bound to the DPoP key of the request if it proves one.

        A refusal that had an effect is returned, and recorded with that effect: an attempt is counted, and a code that
        comes twice ends what it was redeemed for, since one of the two who had it was a thief.
        Raises: BadGrant, InvalidParameter, MissingParameter, BadDPoPProof, UnknownResource, StoreUnavailable.
        """
        now = self.office.clock()
        if any(resource != credential_issuer(self.office.url) for resource in asked.resources):
            raise UnknownResource("the token is for the credential issuer alone")
        proven = offered_keys(shown, now=now)
        async with self.office.store.work() as work:
            offer = await work.offer_by_code(digest_of(asked.code))
            if offer is not None and offer.code_spent:
                await work.end_offer_tokens(offer.id)
                return await self._refuse(work, offer, "the pre-authorized code was used before", by)
            offer = require_redeemable(offer, now=now)
            require_tx_form(offer, asked.tx_code)
            require_details(asked, offer.configurations)
            if offer.tx_digest is not None and not await work.take_attempt(offer.id):
                raise BadGrant("no attempt at the transaction code is left")
            if not is_tx_code(offer, asked.code, asked.tx_code):
                return await self._refuse(work, offer, "the transaction code is wrong", by)
            if not await work.spend_code(offer.id):
                raise BadGrant("the pre-authorized code was used before")
            await spend_proof(work, proven)
            redeemed = _token(offer, asked, proven, now=now)
            await work.add_offer_token(redeemed.token, now=now)
            who = replace(by, organisation=offer.organisation, client_id=asked.client_id)
            await work.record(self.office.event(who, "offer.redeem", offer.id, "the pre-authorized code was redeemed"))
        self.office.news.wake_audit()
        return redeemed

    async def open(self, shown: Shown) -> Opened:
        """Return what a request to the credential issuer may ask for.

        Raises: Malformed, VerificationError, UnauthorizedClient, Unavailable.
        """
        if shown.credential.count(".") == _DOTS:
            return _for_person(await self.admit(shown))
        now = self.office.clock()
        proven = prove_keys(shown, now=now)
        async with self.office.store.work() as work:
            token = await work.offer_token(digest_of(shown.credential))
            if token is None or token.expires <= now:
                raise NotAuthenticated("the access token is not known, or over")
            bound = None if token.jkt is None else Confirmation(jkt=token.jkt)
            if bound is not None and bound not in proven.confirmations:
                raise NotBound("a sender-constrained token was shown without the proof of its key")
            require_bound(bound, proven)
            await spend_proof(work, proven)
        return Opened(
            offer_id=token.offer_id,
            person=None,
            client_id=token.client_id,
            identifiers=token.identifiers,
            scopes=frozenset(),
        )

    async def _refuse(self, work: Work, offer: Offer, why: str, by: Operator) -> BadGrant:
        error: DidAgentError = BadGrant(why)
        event = self.office.event(replace(by, organisation=offer.organisation), "offer.redeem", offer.id, why)
        await work.record(replace(event, decision="deny", reason=error.code))
        return BadGrant(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofsOnce:
    """Spends what the bridge's tokens are shown with; implements `did_agent.ports.SpendOnce`."""

    office: Office

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        """Spend a single-use value in a transaction of its own; True the first time, False ever after."""
        async with self.office.store.work() as work:
            return await work.spend(purpose, digest_uri(key.encode()), expires=expires)


async def spend_proof(work: Work, proven: ProvenKeys) -> None:
    """Spend a DPoP proof, if there is one.

    Raises: BadDPoPProof when it was shown before.
    """
    proof = proven.proof
    if proof is None:
        return
    # Of any length, so what is kept is its digest.
    if not await work.spend(_PURPOSE, digest_uri(proof.replay_key.encode()), expires=proof.replay_until):
        raise BadDPoPProof("the proof was shown before")


def _token(offer: Offer, asked: TokenRequest, proven: ProvenKeys, *, now: datetime) -> Redeemed:
    value, seconds = new_secret(), WAITING_SECONDS if offer.needs_approval else TOKEN_SECONDS
    token = OfferToken(
        digest=digest_of(value),
        offer_id=offer.id,
        client_id=asked.client_id,
        jkt=None if proven.proof is None else proven.proof.jkt,
        identifiers=asked.configurations,
        expires=now + timedelta(seconds=seconds),
    )
    return Redeemed(access_token=value, token=token, seconds=seconds)


def _for_person(admission: Admission) -> Opened:
    caller = admission.caller
    if caller.principal.kind != "user":
        raise UnauthorizedClient("offers are taken by a code, or by the person they were made for")
    return Opened(
        offer_id=None,
        person=caller.principal.id,
        client_id=caller.client_id,
        identifiers=(),
        scopes=caller.scopes,
        token_id=admission.token_id,
    )
