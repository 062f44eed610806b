"""The one place where every grant is asked whether it stays within its organisation, before it becomes a token."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.model import Grant, Resource, User
from bridge.model.lending import Lending
from bridge.ports import Transaction
from bridge.service.attempt import Attempt
from bridge.service.lookup import Lookup
from bridge.tenancy import require_may_act, require_usable, share_id
from did_agent.errors import EmptyGrant, UnauthorizedClient, UnknownAgent, UnknownResource
from did_agent.tokens.access_token import HOME


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenancy:
    """Says of each grant whose it is."""

    lookup: Lookup

    async def placed(self, attempt: Attempt, grant: Grant) -> Grant:
        """Return the grant with the organisation of its principal, if all it takes belongs or was given to that.

        Raises: UnknownResource, UnknownAgent, UnauthorizedClient, EmptyGrant, PeerUnavailable.
        """
        if grant.subject_profile == "service":
            return grant  # an operator, whose own record says whose
        if grant.is_operating:
            await self._require_console(grant)
            return grant
        is_person = grant.subject_profile == "user"
        organisation = _of_person(attempt.user) if is_person else await self._of_agent(grant.subject)
        if attempt.resource is None or attempt.resource.id != grant.resource:
            raise UnknownResource("the resource was not looked up")
        require_usable(attempt.resource, organisation, is_person=is_person)
        if attempt.spoken_for not in (None, organisation):
            raise UnknownAgent("the agent is not in the registry")  # its issuer says whose it is, not whom others have
        givers = {await self._of_agent(did) for did in grant.actors} - {organisation}
        if givers:
            async with self.lookup.store.transaction() as work:
                require_may_act(givers, organisation, lenders=await work.lenders_to(organisation))
        lent = {Lending(giver=giver, taker=organisation, since=attempt.now).id for giver in givers}
        if {organisation, attempt.resource.organisation} != {HOME}:
            lent.add(share_id(grant.resource, organisation))
        return replace(grant, organisation=organisation, made_from=grant.made_from | lent)

    async def _require_console(self, grant: Grant) -> None:
        async with self.lookup.store.transaction() as work:
            client = await work.client(grant.client_id)
        if client is None or not client.operates:
            raise UnauthorizedClient("nobody operates the deployment through this client")

    async def _of_agent(self, did: str) -> str:
        # Who is of no register came by another deployment's word, which the deployment's own trust list lets in.
        agents = self.lookup.registry
        return await agents.organisation(did) or HOME


async def require_within(work: Transaction, user: User, resource: Resource, agents: frozenset[str]) -> None:
    """Return when a person can be asked about a resource, and agents of the organisations `agents` act for them there.

    Raises: UnknownResource, UnknownAgent.
    """
    require_usable(resource, user.organisation, is_person=True)
    if agents - {user.organisation}:
        require_may_act(agents, user.organisation, lenders=await work.lenders_to(user.organisation))


def _of_person(user: User | None) -> str:
    if user is None:
        raise EmptyGrant("the person has no account here, and so no organisation")
    return user.organisation
