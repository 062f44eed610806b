"""`jwt-bearer`: who vouches, for whom, and what they may do here (RFC 7523; ID-JAG; workload identity)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.authority import authority_at, choose_resource
from bridge.clients import Client, require_client
from bridge.grants import jwt_bearer
from bridge.model import Grant
from bridge.model.federation import TrustedIssuer
from bridge.ports.federation import ForeignKeys
from bridge.service.attempt import Attempt
from bridge.service.grants.token_exchange import TokenExchange
from bridge.service.lookup import Lookup
from did_agent import errors
from did_agent.keys.public import PublicKey
from did_agent.tokens.id_jag import IdentityAssertion, verify_id_jag
from did_agent.tokens.workload import verify_workload_token


@dataclass(frozen=True, slots=True, kw_only=True)
class JWTBearer:
    """The grant of whoever brings another's signed word."""

    lookup: Lookup
    keys: ForeignKeys
    presentations: TokenExchange

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant.

        Raises: MissingParameter, BadGrant, ClientNotAuthenticated, UnauthorizedClient, UnknownResource, EmptyGrant,
        KeysUnavailable, WrongChallenge when a presentation needs a fresh challenge.
        """
        try:
            assertion = jwt_bearer.parse(attempt.request)
            if assertion.kind == "presentation":
                grant = await self.presentations.present(attempt, client, assertion.text)
                return replace(grant, type="jwt_bearer")
            trusted, key = await self._trusted(assertion)
            if assertion.kind == "id_jag":
                return await self._id_jag(attempt, client, assertion.text, trusted, key)
            return await self._workload(attempt, assertion.text, trusted, key)
        except (errors.WrongChallenge, errors.MissingParameter, errors.ClientNotAuthenticated):
            raise
        except (errors.Malformed, errors.VerificationError) as error:
            raise errors.BadGrant(f"{error.code}: {error.detail}") from error  # at this door all is one grant

    async def _trusted(self, assertion: jwt_bearer.Assertion) -> tuple[TrustedIssuer, PublicKey]:
        async with self.lookup.store.transaction() as work:
            trusted = await work.trusted_issuer(assertion.issuer)
        if trusted is None:
            raise errors.UntrustedIssuer("nobody here believes this issuer")
        return trusted, await self.keys.find(trusted, assertion.kid)

    async def _id_jag(
        self, attempt: Attempt, client: Client | None, text: str, trusted: TrustedIssuer, key: PublicKey
    ) -> Grant:
        caller, now = require_client(client), attempt.now
        if not trusted.vouches_for_users:
            raise errors.UntrustedIssuer("this issuer may not vouch for users")
        found = verify_id_jag(
            text,
            find_key=lambda _header, _claims: key,
            expected_issuer=trusted.issuer,
            expected_audience=self.lookup.identity.issuer,
            now=now,
        )
        if found.client_id != caller.id:
            raise errors.BadGrant("the assertion was made for another client")
        jwt_bearer.require_possession(found.confirmation, attempt.confirmation)
        attempt.spends.append(jwt_bearer.spend_of(found))
        if caller.agent is None:
            raise errors.UnauthorizedClient("the client is no agent")
        agent = await self.lookup.agent(caller.agent)
        chains = self.lookup.chains(agent, now=now)
        wanted = {*attempt.request.resources, *([found.resource] if found.resource else [])}
        resource, user = await self.lookup.resource_and_user(
            attempt, choose_resource(tuple(wanted), chains), await self._username(found)
        )
        return jwt_bearer.judge_id_jag(
            found,
            agent=agent.did,
            requested=attempt.scopes,
            user=user,
            resource=resource,
            authority=authority_at(resource.id, chains, now=now),
            now=now,
        )

    async def _username(self, found: IdentityAssertion) -> str:
        async with self.lookup.store.transaction() as work:
            username = await work.username_of(found.issuer, found.subject)
        if username is None:
            raise errors.BadGrant("the identity provider's user has no account here")
        return username

    async def _workload(self, attempt: Attempt, text: str, trusted: TrustedIssuer, key: PublicKey) -> Grant:
        now, issuer = attempt.now, self.lookup.identity.issuer
        found = verify_workload_token(
            text,
            find_key=lambda _header, _claims: key,
            expected_issuer=trusted.issuer,
            # A grant, unlike client authentication, may name the token endpoint too (RFC 7523bis).
            expected_audience=frozenset({issuer, f"{issuer}/token"}),
            now=now,
        )
        rule = jwt_bearer.rule_for(found, trusted)
        jwt_bearer.require_possession(found.confirmation, attempt.confirmation)
        if not rule.reusable:
            attempt.spends.append(jwt_bearer.spend_of(found))
        attempt.client_id = rule.agent
        agent = await self.lookup.agent(rule.agent)
        chains = self.lookup.chains(agent, now=now)
        resource, _ = await self.lookup.resource_and_user(attempt, choose_resource(attempt.request.resources, chains))
        return jwt_bearer.judge_workload(
            found,
            rule,
            requested=attempt.scopes,
            resource=resource,
            authority=authority_at(resource.id, chains, now=now),
            now=now,
        )
