"""`client_credentials`: an agent or an operator, each for itself (RFC 6749, 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.authority import authority_at, choose_resource
from bridge.clients import Client, require_client
from bridge.grants import client_credentials
from bridge.model import Grant
from bridge.model.operators import OrganisationOperator
from bridge.service.attempt import Attempt
from bridge.service.grants.token_exchange import TokenExchange
from bridge.service.lookup import Lookup
from did_agent.errors import UnauthorizedClient


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """The grant of whoever authenticates as itself."""

    lookup: Lookup
    operators: frozenset[str]  # the deployment's own
    issuer_url: str  # the only party that operators of organisations may use
    presentations: TokenExchange  # judges what rides inside a client assertion

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant.

        What an agent shows inside its client assertion counts instead of what the register holds for it.
        Raises: ClientNotAuthenticated, UnknownAgent, AgentNotActive, UnknownResource, EmptyGrant, UnauthorizedClient,
        and what `TokenExchange.present` raises.
        """
        authenticated, wanted, now = require_client(client), attempt.request.resources, attempt.now
        if authenticated.id in self.operators:
            served, _ = await self.lookup.resource_and_user(attempt, choose_resource(wanted, ()))
            return client_credentials.judge_operator(
                authenticated.id, requested=attempt.scopes, resource=served, now=now
            )
        if wanted == (self.issuer_url,) and (operator := await self._operator(authenticated.id)) is not None:
            served, _ = await self.lookup.resource_and_user(attempt, choose_resource(wanted, ()))
            return client_credentials.judge_organisation_operator(
                operator, requested=attempt.scopes, resource=served, now=now
            )
        if authenticated.presentation is not None:
            shown = await self.presentations.present(attempt, authenticated, authenticated.presentation)
            return replace(shown, type="client_credentials")
        if authenticated.agent is None:
            raise UnauthorizedClient("the client is no agent: it has no rights of its own")
        agent = await self.lookup.recent_agent(attempt, authenticated.agent)
        chains = self.lookup.chains(agent, now=now)
        resource, _ = await self.lookup.resource_and_user(attempt, choose_resource(wanted, chains))
        authority = authority_at(resource.id, chains, now=now)
        return client_credentials.judge_agent(
            agent.did, requested=attempt.scopes, resource=resource, authority=authority, now=now
        )

    async def _operator(self, did: str) -> OrganisationOperator | None:
        async with self.lookup.store.transaction() as work:
            return await work.operator(did)
