"""What the grants must find out before they judge: agents, resources, people, presentations and tokens of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bridge import issuance, presentations, vouching
from bridge.authority import registered_chains, require_active
from bridge.model import Agent, Identity, Resource, User
from bridge.policy import seen_by, with_roles
from bridge.ports import Registry, Statuses, Store
from bridge.sender_constraint import require_binding
from bridge.service.attempt import Attempt
from bridge.service.policy import PolicyInForce
from did_agent import errors
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustSource
from did_agent.tokens.access_token import HOME, AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Asks the registry, the status lists and the store."""

    store: Store
    registry: Registry
    statuses: Statuses
    identity: Identity
    trusted: TrustSource
    policies: PolicyInForce
    challenge_key: bytes = field(repr=False)
    known: KnownCredentials = field(default_factory=KnownCredentials, repr=False)  # signatures that were verified

    async def agent(self, did: str) -> Agent:
        """Return an agent that is registered and active at this moment (DEL-10).

        Raises: UnknownAgent, AgentNotActive, PeerUnavailable.
        """
        return require_active(await self.registry.agent(did))

    async def recent_agent(self, attempt: Attempt, did: str) -> Agent:
        """Return an agent that was active a moment ago, for grants that are judged again should they be refused.

        Raises: as `agent`.
        """
        found = None if attempt.asks_anew else self.registry.recent(did)
        attempt.remembers = attempt.remembers or found is not None
        return found or await self.agent(did)

    async def vouched(self, attempt: Attempt, shown: presentations.Shown) -> frozenset[str]:
        """Return what else a token hangs on that is made from what was shown, once its holder may act here.

        Who is not of our register is known by the credential of another deployment's issuer alone.
        Raises: UnknownAgent, AgentNotActive, PeerUnavailable, UntrustedIssuer, BadPresentation.
        """
        trusted, issuer = self.trusted.current(attempt.now), shown.chain.root_issuer
        if not trusted.is_foreign(issuer):
            await self.recent_agent(attempt, shown.holder)
            return frozenset()
        named = vouching.dependencies(shown.chain, is_neighbour=trusted.organisation_of(issuer) is not None)
        # It may be of our register all the same; then what is said of it there holds.
        registered = await self.registry.agent(shown.holder)
        if registered is not None:
            require_active(registered)
        return named

    def chains(self, agent: Agent, *, now: datetime) -> list[VerifiedChain]:
        """Return the agent's own credentials that hold now."""
        return registered_chains(agent, now=now, trusted=self.trusted.current(now), known=self.known)

    def organisation_of(self, chain: VerifiedChain, *, now: datetime) -> str:
        """Return which organisation of the deployment issued the root of a chain."""
        return self.trusted.current(now).organisation_of(chain.root_issuer) or HOME

    async def resource_and_user(
        self, attempt: Attempt, resource_id: str, username: str | None = None
    ) -> tuple[Resource, User | None]:
        """Return a resource that takes such a token and, if somebody is named, their account, as policy sees them.

        Raises: UnknownResource, InvalidParameter when the resource takes bound tokens alone, PolicyUnavailable.
        """
        async with self.store.transaction() as work:
            attempt.policy = await self.policies.current(work)
            resource = await work.resource(resource_id)
            user = None if username is None else await work.user(username)
        if resource is None:
            raise errors.UnknownResource(f"{resource_id[:200]} is not registered here")
        require_binding(resource, attempt.confirmation)
        attempt.signing_alg, attempt.resource = resource.signing_alg, resource
        attempt.user = None if user is None else with_roles(attempt.policy, user, resource.id)
        return seen_by(attempt.policy, resource), attempt.user

    async def shown(self, attempt: Attempt, token: str) -> presentations.Shown:
        """Return a presentation that holds; what it consumes is noted on the attempt.

        Raises: WrongChallenge, what `ask` raises, Revoked, Suspended, StatusUnavailable, BadPresentation.
        """
        asked = presentations.read(
            token,
            issuer=self.identity.issuer,
            trusted=self.trusted.current(attempt.now),
            challenge_key=self.challenge_key,
            now=attempt.now,
            known=self.known,
        )
        shown = presentations.judge(asked, await self.statuses.get(asked.status_urls))
        attempt.spends.append(shown.spend)
        return shown

    async def own_token(self, text: str, *, now: datetime) -> AccessToken:
        """Return a token of ours that still stands, for whichever resource.

        A token bound to a key is taken without the proof of that key: what is done with it needs the signature of
        the agent it was given to, in the presentation of who acts next.
        Raises: what `verify_own` raises, Revoked.
        """
        token = issuance.verify_own(text, identity=self.identity, audience=None, proven=None, now=now)
        async with self.store.transaction() as work:
            if not await work.is_standing(token.id):
                raise errors.Revoked("the token was revoked, or was not recorded here")
        return token
