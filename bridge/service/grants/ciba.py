"""CIBA: an agent comes for the answer of a person it asked, again and again (OpenID CIBA 10.1, 11)."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.authority import authority_at
from bridge.clients import Client, require_client
from bridge.grants import ciba
from bridge.model import Grant
from bridge.model.backchannel import Asking
from bridge.ports import Transaction
from bridge.service.attempt import Attempt
from bridge.service.following import Following
from bridge.service.lookup import Lookup
from did_agent.errors import AuthorizationPending, BadGrant, UnauthorizedClient, UnknownResource


@dataclass(frozen=True, slots=True, kw_only=True)
class CIBA:
    """The grant of whoever asked a person."""

    lookup: Lookup
    following: Following

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant: what the person allowed, as far as they and the agent may do it at this moment (OAU-17).

        Raises: ClientNotAuthenticated, UnauthorizedClient, MissingParameter, BadGrant, ConsentDenied, RequestExpired,
        AuthorizationPending, UnknownResource, EmptyGrant, UnknownAgent, AgentNotActive.
        """
        caller, now = require_client(client), attempt.now
        digest = ciba.parse(attempt.request)
        async with self.lookup.store.transaction() as work:
            found = await work.asking(digest)
        if found is not None and caller.id != found.client_id == found.agent:
            found = await self.following.asking(attempt, found, proven=caller.id)
        asking = ciba.require_asker(found, client_id=caller.id, confirmation=attempt.confirmation)
        use = _Use(asking, attempt)
        try:
            ciba.require_allowed(asking, now=now)
        except AuthorizationPending as error:
            use.interval = ciba.next_interval(asking, error)
            attempt.on_refusal.append(use.paced)
            raise
        if caller.agent != asking.agent:
            raise UnauthorizedClient("the client is another agent now")
        if not set(attempt.request.resources) <= {asking.resource}:
            raise UnknownResource("the person was asked for another resource")
        attempt.on_issue.append(use.taken)
        agent = await self.lookup.agent(asking.agent)
        resource, user = await self.lookup.resource_and_user(attempt, asking.resource, asking.username)
        authority = authority_at(resource.id, self.lookup.chains(agent, now=now), now=now)
        return ciba.judge(asking, requested=attempt.scopes, user=user, resource=resource, authority=authority, now=now)


@dataclass(slots=True)
class _Use:
    asking: Asking
    attempt: Attempt
    interval: int = 0

    async def paced(self, work: Transaction) -> None:
        await work.pace_asking(self.asking.digest, polled=self.attempt.now, interval=self.interval)

    async def taken(self, work: Transaction, _grant: Grant, _token_id: str) -> None:
        if not await work.take_asking(self.asking.digest):
            raise BadGrant("the answer was taken up before, or withdrawn")
