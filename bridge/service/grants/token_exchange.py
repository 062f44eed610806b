"""Token exchange: a presentation becomes a token, or the next actor joins a token of ours (RFC 8693)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.authority import authority_at, choose_resource
from bridge.clients import Client
from bridge.grants import token_exchange
from bridge.grants.authorization_code import is_code_exchange
from bridge.model import Grant
from bridge.presentations import Shown
from bridge.service.attempt import Attempt
from bridge.service.grants.authorization_code import AuthorizationCode
from bridge.service.lookup import Lookup
from did_agent import errors
from did_agent.policy.admission import principal_of
from did_agent.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """The grant of whoever shows a presentation."""

    lookup: Lookup
    codes: AuthorizationCode

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant.

        Raises: Malformed and VerificationError leaves for what was shown, ActorUnauthorized, UnknownResource,
        EmptyGrant.
        """
        if is_code_exchange(attempt.request):
            return await self.codes.judge(attempt, client)
        exchange = token_exchange.parse(attempt.request)
        if exchange.token is None:
            return await self.present(attempt, client, exchange.presentation)
        subject = await self._subject(attempt, exchange.token)
        shown, vouched = await self._shown(attempt, client, exchange.presentation)
        resource, user = await self.lookup.resource_and_user(attempt, subject.audience, subject.subject)
        authority = authority_at(resource.id, [shown.chain], now=attempt.now)
        grant = token_exchange.judge_next_hop(
            subject,
            shown,
            requested=attempt.scopes,
            resource=resource,
            authority=authority,
            user=user,
            now=attempt.now,
        )
        return _hanging_on(grant, vouched)

    async def present(self, attempt: Attempt, client: Client | None, presentation: str) -> Grant:
        """Return the grant of an agent that presents its own chain.

        Raises: Malformed and VerificationError leaves for what was shown, UnknownResource, EmptyGrant.
        """
        shown, vouched = await self._shown(attempt, client, presentation)
        wanted, principal = choose_resource(attempt.request.resources, [shown.chain]), principal_of(shown.chain)
        resource, user = await self.lookup.resource_and_user(attempt, wanted, principal.id)
        authority = authority_at(resource.id, [shown.chain], now=attempt.now)
        grant = token_exchange.judge_presentation(
            shown, requested=attempt.scopes, resource=resource, authority=authority, user=user, now=attempt.now
        )
        return _hanging_on(grant, vouched)

    async def _shown(self, attempt: Attempt, client: Client | None, presentation: str) -> tuple[Shown, frozenset[str]]:
        shown = await self.lookup.shown(attempt, presentation)
        attempt.client_id = shown.holder
        # The presentation proves the client's key; whatever else names a client must name the same (DEL-01).
        if {client and client.id, attempt.request.get("client_id")} - {None, shown.holder}:
            raise errors.ClientNotAuthenticated("the client is not the holder of the presentation")
        if shown.chain.on_behalf_of is not None:
            attempt.spoken_for = self.lookup.organisation_of(shown.chain, now=attempt.now)
        return shown, await self.lookup.vouched(attempt, shown)

    async def _subject(self, attempt: Attempt, text: str) -> AccessToken:
        subject = await self.lookup.own_token(text, now=attempt.now)
        if not set(attempt.request.resources) <= {subject.audience}:
            raise errors.UnknownResource("a token is exchanged for the resource it was made for")
        return subject


def _hanging_on(grant: Grant, names: frozenset[str]) -> Grant:
    return replace(grant, made_from=grant.made_from | names) if names else grant
