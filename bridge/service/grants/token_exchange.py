"""Token exchange: a presentation becomes a token, or the next actor joins a token of ours (RFC 8693)."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.authority import authority_at, choose_resource
from bridge.clients import Client
from bridge.grants import token_exchange
from bridge.model import Grant
from bridge.service.attempt import Attempt
from bridge.service.lookup import Lookup
from did_agent import errors
from did_agent.policy.admission import principal_of
from did_agent.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """The grant of whoever shows a presentation."""

    lookup: Lookup

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant.

        Raises: Malformed and VerificationError leaves for what was shown, ActorUnauthorized, UnknownResource,
        EmptyGrant.
        """
        now, exchange = attempt.now, token_exchange.parse(attempt.request)
        subject = await self._subject(attempt, exchange.token) if exchange.token else None
        shown = await self.lookup.shown(attempt, exchange.presentation)
        attempt.client_id = shown.holder
        # The presentation proves the client's key; whatever else names a client must name the same (DEL-01).
        if {client and client.id, attempt.request.get("client_id")} - {None, shown.holder}:
            raise errors.ClientNotAuthenticated("the client is not the holder of the presentation")
        await self.lookup.agent(shown.holder)
        username = subject.subject if subject else principal_of(shown.chain).id
        wanted = (subject.audience,) if subject else attempt.request.resources
        resource, user = await self.lookup.resource_and_user(choose_resource(wanted, [shown.chain]), username)
        authority = authority_at(resource.id, [shown.chain], now=now)
        if subject:
            return token_exchange.judge_next_hop(
                subject, shown, requested=attempt.scopes, resource=resource, authority=authority, user=user, now=now
            )
        return token_exchange.judge_presentation(
            shown, requested=attempt.scopes, resource=resource, authority=authority, user=user, now=now
        )

    async def _subject(self, attempt: Attempt, text: str) -> AccessToken:
        subject = await self.lookup.own_token(text, now=attempt.now)
        if not set(attempt.request.resources) <= {subject.audience}:
            raise errors.UnknownResource("a token is exchanged for the resource it was made for")
        return subject
