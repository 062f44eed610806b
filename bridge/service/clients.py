"""Who a client is: an agent of the register, the author of a metadata document, or one an operator registered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge import audit_trail
from bridge.clients import Client, prove_agent, prove_client, read_credentials, secret_digest
from bridge.model import Agent, Identity, OAuthRequest
from bridge.model.clients import OAuthClient
from bridge.ports import Registry, Store
from bridge.ports.clients import ClientDocuments
from bridge.service.revocation import end_tokens
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.errors import ClientNotAuthenticated, InvalidParameter, NotFound
from did_agent.tokens.access_token import AccessToken

AGENT_PREFIX = "did:key:z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Finds and authenticates clients of every kind."""

    store: Store
    registry: Registry
    documents: ClientDocuments
    identity: Identity

    async def find(self, client_id: str) -> tuple[OAuthClient | None, Agent | None]:
        """Return a client and, when it is an agent, the agent as it is registered now.

        Raises: InvalidParameter for a metadata document that cannot be used, PeerUnavailable.
        """
        if client_id.startswith(AGENT_PREFIX):
            agent = await self.registry.agent(client_id)
            return (None, None) if agent is None else (_agent_client(agent), agent)
        if client_id.startswith(("https://", "http://")):
            return await self.documents.client(client_id), None
        async with self.store.transaction() as work:
            client = await work.client(client_id)
        agent = await self.registry.agent(client.agent) if client and client.agent else None
        return client, agent

    async def authenticate(self, request: OAuthRequest, *, now: datetime) -> Client | None:
        """Return the client of a request; None when it does not name one.

        Raises: ClientNotAuthenticated, InvalidParameter, MissingParameter, PeerUnavailable.
        """
        shown = read_credentials(request)
        if shown is None:
            return None
        if shown.client_id.startswith("did:"):
            if shown.method == "none":
                return None  # an agent proves itself: by an assertion, or by the presentation beside its id
            return prove_agent(shown, issuer=self.identity.issuer, now=now)
        try:
            known, _ = await self.find(shown.client_id)
        except InvalidParameter as error:
            raise ClientNotAuthenticated(error.detail) from error
        return prove_client(shown, known, issuer=self.identity.issuer, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAdministration:
    """The operator's use cases for clients; each change is recorded in its transaction."""

    store: Store
    identity: Identity
    clock: Clock

    async def clients(self) -> Sequence[OAuthClient]:
        """Return every registered client."""
        async with self.store.transaction() as work:
            return await work.clients()

    async def put_client(self, client: OAuthClient, *, by: AccessToken, request_id: str) -> str | None:
        """Register a client or replace it, and return its new secret, once, if its method has one; its tokens end."""
        secret = secrets.token_urlsafe(32) if client.auth_method.startswith("client_secret") else None
        stored = replace(client, secret_digest=None if secret is None else secret_digest(secret))
        async with self.store.transaction() as work:
            await end_tokens(work, [client.id], reason="the client changed", identity=self.identity, now=self.clock())
            await work.put_client(stored)
            await work.delete_registration(client.id)  # what registered itself under this id is the operator's now
            await work.record(self._event("client.put", client.id, by, request_id))
        return secret

    async def delete_client(self, client_id: str, *, by: AccessToken, request_id: str) -> None:
        """Delete a client; its tokens end.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            await end_tokens(
                work, [client_id], reason="the client was deleted", identity=self.identity, now=self.clock()
            )
            if not await work.delete_client(client_id):
                raise NotFound("there is no such client")
            await work.delete_registration(client_id)
            await work.record(self._event("client.delete", client_id, by, request_id))

    def _event(self, action: str, target: str, by: AccessToken, request_id: str) -> AuditEvent:
        return audit_trail.by_operator(self.identity, action, target, by=by, request_id=request_id, now=self.clock())


def _agent_client(agent: Agent) -> OAuthClient:
    return OAuthClient(
        id=agent.did,
        kind="agent",
        name=agent.name,
        redirect_uris=agent.redirect_uris,
        auth_method="private_key_jwt",
        agent=agent.did,
    )
