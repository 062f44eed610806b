"""Ending what was issued: a client its own token (RFC 7009), an operator everything of one subject."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from bridge import audit_trail, issuance
from bridge.clients import Client, require_named
from bridge.grants import refresh_token
from bridge.model import Identity, OAuthRequest
from bridge.model.refresh import RefreshFamily
from bridge.ports import Store
from bridge.service.attempt import spend
from bridge.service.clients import Clients
from bridge.service.revocation import end_tokens
from bridge.succession import all_keys
from did_agent import errors
from did_agent.clock import Clock
from did_agent.did.resolve import resolve
from did_agent.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Ends tokens and families; every effect is recorded in its transaction."""

    store: Store
    identity: Identity
    clients: Clients
    refresh_key: bytes = field(repr=False)
    clock: Clock

    async def revoke(self, request: OAuthRequest) -> None:
        """End a token of the calling client and all made from it; unknown tokens are no error (RFC 7009, 2.2).

        Raises: ClientNotAuthenticated, MissingParameter, UnauthorizedClient for somebody else's token.
        """
        now = self.clock()
        client = require_named(await self.clients.authenticate(request, now=now))
        text = request.get("token")
        if text is None:
            raise errors.MissingParameter("token is required")
        token, family = self._access_token(text), await self._family(text)
        owner = token.client_id if token else family.code.request.client_id if family else None
        if owner == client.id:
            await self._end(client, token, family, request)
        elif client.spend is not None:
            async with self.store.transaction() as work:
                await spend(work, client.spend)
        if owner not in (None, client.id):
            raise errors.UnauthorizedClient("the token belongs to another client")

    async def end_subject(self, subject: str, *, by: AccessToken, request_id: str) -> None:
        """End every token, family, code and session of a person or an agent (Global Token Revocation).

        What an agent's earlier keys were given would follow it: it ends as well.
        Raises: NotFound when there is no such person, BadDID, PeerUnavailable when the register could not be asked for
        earlier keys; then that of this one has ended all the same.
        """
        now, reason = self.clock(), "an operator ended everything of this subject"
        names, away = await self._names(subject)
        async with self.store.transaction() as work:
            if not is_agent(subject) and await work.user(subject) is None:
                raise errors.NotFound("there is no such user; agents are named by their DID")
            for name in names:
                await work.sign_out(name)
            ended = [family for name in names for family in await work.end_families(name)]
            await end_tokens(work, [*names, *ended], reason=reason, identity=self.identity, now=now)
            await work.record(
                audit_trail.by_operator(self.identity, "subject.revoke", subject, by=by, request_id=request_id, now=now)
            )
        if away is not None:
            raise away

    async def _names(self, subject: str) -> tuple[list[str], errors.PeerUnavailable | None]:
        if not is_agent(subject):
            return [subject], None
        try:
            known = await self.clients.registry.succession(subject)
        except errors.PeerUnavailable as error:
            return [subject], error
        return sorted({subject} | (frozenset() if known is None else all_keys(known))), None

    async def _end(
        self, client: Client, token: AccessToken | None, family: RefreshFamily | None, request: OAuthRequest
    ) -> None:
        now = self.clock()
        ended = token.id if token else family.id if family else ""
        resource = token.audience if token else family.code.request.resource if family else None
        async with self.store.transaction() as work:
            if family is not None:
                await work.end_family(family.id)
            await end_tokens(work, [ended], reason="by its client", identity=self.identity, now=now)
            await work.record(
                audit_trail.bridge_event(
                    self.identity,
                    "token.revoke",
                    "by its client",
                    now=now,
                    client_id=client.id,
                    target=ended,
                    token_id=token.id if token else None,
                    resource=resource,
                    request_id=request.request_id,
                )
            )
            if client.spend is not None:
                await spend(work, client.spend)

    def _access_token(self, text: str) -> AccessToken | None:
        try:
            return issuance.verify_own(text, identity=self.identity, audience=None, proven=None, now=self.clock())
        except (errors.Malformed, errors.VerificationError):
            return None

    async def _family(self, text: str) -> RefreshFamily | None:
        named = refresh_token.read(text, self.refresh_key)
        if named is None:
            return None
        async with self.store.transaction() as work:
            return await work.family(named.family)


def is_agent(subject: str) -> bool:
    """Tell whether a subject is named as agents are; a person otherwise.

    Raises: BadDID.
    """
    # A mistyped DID would end nothing and be answered as done: what no agent can be called is refused.
    if not subject.startswith("did:"):
        return False
    with suppress(errors.KeysUnavailable):  # a did:web: its document is not needed to end what it holds
        resolve(subject)
    return True
