"""The token endpoint's use cases: issue by one of three grants, and revoke (OAuth 2.1, RFC 8693, RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bridge import audit_trail, presentations
from bridge.authority import authority_at, choose_resource, registered_chains, require_active
from bridge.authorization_request import parse_scope
from bridge.challenges import make_challenge
from bridge.clients import Client, authenticate_client, require_client
from bridge.grants import authorization_code, client_credentials, token_exchange
from bridge.issuance import access_token, new_token_id, sign, token_record
from bridge.model import Code, Grant, Identity, OAuthRequest, Resource, Spend, User
from bridge.ports import Registry, Statuses, Store, Transaction
from bridge.presentations import Shown
from bridge.service.revocation import announce_tokens
from did_agent.clock import Clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import (
    BadGrant,
    ClientNotAuthenticated,
    Denied,
    DidAgentError,
    Malformed,
    MissingParameter,
    Replayed,
    Revoked,
    Suspended,
    UnauthorizedClient,
    UnknownResource,
    UnsupportedDetails,
    UnsupportedGrantType,
    VerificationError,
    WrongAudience,
    WrongChallenge,
    WrongKey,
)
from did_agent.keys.ed25519 import PublicKey
from did_agent.policy.admission import principal_of
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.access_token import AccessToken, verify_access_token

GRANTS: Final = {
    "client_credentials": "client_credentials",
    "authorization_code": "authorization_code",
    token_exchange.GRANT_TYPE: "token_exchange",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The answer of the token endpoint."""

    access_token: str
    expires_in: int
    scope: str
    exchanged: bool


@dataclass(slots=True)
class _Attempt:
    """What became known while judging: spent and recorded together, whatever the outcome."""

    request: OAuthRequest
    grant: str = ""
    client_id: str | None = None
    spends: list[Spend] = field(default_factory=list)
    burn: str | None = None  # digest of a code that was shown by the wrong party
    replayed: str | None = None  # jti that a code was redeemed for before


class Tokens:
    """Judges token requests; every outcome is one transaction with its audit event."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        statuses: Statuses,
        identity: Identity,
        trusted: TrustedIssuers,
        operators: frozenset[str],
        challenge_key: bytes,
        clock: Clock,
    ) -> None:
        self._store, self._registry, self._statuses = store, registry, statuses
        self._identity, self._trusted, self._operators = identity, trusted, operators
        self._challenge_key, self._clock = challenge_key, clock

    def challenge(self) -> str:
        """Return a fresh challenge for a presentation."""
        return make_challenge(self._challenge_key, now=self._clock())

    async def issue(self, request: OAuthRequest) -> Issued:
        """Return a token, or refuse and record why.

        Raises: leaves of Malformed, VerificationError, Denied and Unavailable; `api.oauth_errors` names their codes.
        """
        now, attempt = self._clock(), _Attempt(request)
        try:
            return await self._commit(await self._judge(attempt, now), attempt, now)
        except (Malformed, VerificationError, Denied) as error:
            # An unreadable request decided nothing; one that proved something was a decision, and is recorded.
            if attempt.spends or attempt.burn or not isinstance(error, Malformed):
                await self._refused(attempt, error, now)
            raise

    async def revoke(self, request: OAuthRequest) -> None:
        """End a token of the calling client and all made from it; unknown tokens are no error (RFC 7009, 2.2).

        Raises: ClientNotAuthenticated, MissingParameter, UnauthorizedClient for somebody else's token.
        """
        now = self._clock()
        client = require_client(authenticate_client(request, issuer=self._identity.issuer, now=now))
        text = request.get("token")
        if text is None:
            raise MissingParameter("token is required")
        try:
            token = self._own_token(text, None, now)
        except (Malformed, VerificationError):
            token = None
        async with self._store.transaction() as work:
            if token and token.client_id == client.did:
                await announce_tokens(
                    work, [token.id], reason="revoked by its client", identity=self._identity, now=now
                )
            await _spend(work, client.spend)
            if token and token.client_id == client.did:
                event = audit_trail.bridge_event(
                    self._identity,
                    action="token.revoke",
                    now=now,
                    explanation="its client asked for it",
                    client_id=client.did,
                    target=token.id,
                    token_id=token.id,
                    resource=token.audience,
                    request_id=request.request_id,
                )
                await work.record(event)
        if token and token.client_id != client.did:
            raise UnauthorizedClient("the token belongs to another client")

    async def _judge(self, attempt: _Attempt, now: datetime) -> Grant:
        request = attempt.request
        grant_type = request.get("grant_type")
        if grant_type is None:
            raise MissingParameter("grant_type is required")
        if grant_type not in GRANTS:
            raise UnsupportedGrantType("the grant is not offered")
        attempt.grant = GRANTS[grant_type]
        client = authenticate_client(request, issuer=self._identity.issuer, now=now)
        if client is not None:
            attempt.client_id = client.did
            attempt.spends.append(client.spend)
        if request.get("authorization_details") is not None:
            raise UnsupportedDetails("authorization_details come from credentials, not from requests")
        scopes = parse_scope(request.get("scope"))
        if attempt.grant == "client_credentials":
            return await self._client_credentials(attempt, require_client(client), scopes, now)
        if attempt.grant == "authorization_code":
            return await self._authorization_code(attempt, require_client(client), scopes, now)
        return await self._token_exchange(attempt, client, scopes, now)

    async def _client_credentials(
        self, attempt: _Attempt, client: Client, scopes: frozenset[str] | None, now: datetime
    ) -> Grant:
        wanted = attempt.request.resources
        if client.did in self._operators:
            served = await self._resource(choose_resource(wanted, ()))
            return client_credentials.judge_operator(client.did, requested=scopes, resource=served, now=now)
        agent = require_active(await self._registry.agent(client.did))
        chains = registered_chains(agent, now=now, trusted=self._trusted)
        held = [capability for chain in chains for capability in chain.capabilities]
        resource = await self._resource(choose_resource(wanted, held))
        authority = authority_at(resource.id, chains, now=now)
        return client_credentials.judge_agent(
            client.did, requested=scopes, resource=resource, authority=authority, now=now
        )

    async def _authorization_code(
        self, attempt: _Attempt, client: Client, scopes: frozenset[str] | None, now: datetime
    ) -> Grant:
        redemption = authorization_code.parse(attempt.request, scopes=scopes)
        code = await self._bound_code(attempt, redemption, client, now)
        shown = None if redemption.actor_token is None else await self._actor(attempt, redemption.actor_token, now)
        # From here on every refusal burns the code: its one use was tried, perhaps by the wrong hands (DEL-02).
        attempt.burn = code.digest
        try:
            authorization_code.require_actor(code, client_id=client.did, holder=shown.holder if shown else None)
            agent = require_active(await self._registry.agent(client.did))
        except VerificationError as error:
            raise BadGrant(f"{error.code}: {error.detail}") from error
        if not set(attempt.request.resources) <= {code.request.resource}:
            raise UnknownResource("the code is for another resource")
        resource, user = await self._resource_and_user(code.request.resource, code.username)
        chains = (shown.chain,) if shown else registered_chains(agent, now=now, trusted=self._trusted)
        authority = authority_at(resource.id, chains, now=now)
        return authorization_code.judge(code, redemption, user=user, resource=resource, authority=authority, now=now)

    async def _bound_code(
        self, attempt: _Attempt, redemption: authorization_code.Redemption, client: Client, now: datetime
    ) -> Code:
        async with self._store.transaction() as work:
            code = await work.code(redemption.code)
        if code is None:
            raise BadGrant("the code is not known")
        if code.used:
            attempt.replayed = code.token_id
            raise BadGrant("the code was used before")
        attempt.burn = code.digest
        authorization_code.require_binding(code, redemption, client_id=client.did, now=now)
        attempt.burn = None
        return code

    async def _actor(self, attempt: _Attempt, token: str, now: datetime) -> Shown:
        """Return a judged actor presentation; at this door a bad one is a bad grant."""
        try:
            return await self._shown(attempt, token, now)
        except WrongChallenge:
            raise  # the client can get a fresh one and come again
        except (Malformed, VerificationError) as error:
            raise BadGrant(f"actor_token: {error.code}: {error.detail}") from error

    async def _token_exchange(
        self, attempt: _Attempt, client: Client | None, scopes: frozenset[str] | None, now: datetime
    ) -> Grant:
        exchange = token_exchange.parse(attempt.request)
        subject = None if exchange.token is None else await self._subject(attempt, exchange.token, now)
        shown = await self._shown(attempt, exchange.presentation, now)
        attempt.client_id = shown.holder
        # The presentation proves the client's key; whatever else names a client must name the same (DEL-01).
        if {client.did if client else None, attempt.request.get("client_id")} - {None, shown.holder}:
            raise ClientNotAuthenticated("the client is not the holder of the presentation")
        require_active(await self._registry.agent(shown.holder))
        wanted = attempt.request.resources or ((subject.audience,) if subject else ())
        username = subject.subject if subject else principal_of(shown.chain).id
        chosen = choose_resource(wanted, shown.chain.capabilities)
        resource, user = await self._resource_and_user(chosen, username)
        authority = authority_at(resource.id, (shown.chain,), now=now)
        if subject is None:
            return token_exchange.judge_presentation(
                shown, requested=scopes, resource=resource, authority=authority, user=user, now=now
            )
        return token_exchange.judge_next_hop(
            subject, shown, requested=scopes, resource=resource, authority=authority, user=user, now=now
        )

    async def _subject(self, attempt: _Attempt, text: str, now: datetime) -> AccessToken:
        resources = attempt.request.resources
        try:
            subject = self._own_token(text, resources[0] if len(resources) == 1 else None, now)
        except WrongAudience as error:
            raise UnknownResource("a token is exchanged for the resource it was made for") from error
        async with self._store.transaction() as work:
            record = await work.token(subject.id)
        if record is None or record.revoked:
            raise Revoked("the subject token was revoked, or was not recorded here")
        return subject

    async def _shown(self, attempt: _Attempt, token: str, now: datetime) -> Shown:
        expected = presentations.expected_here(issuer=self._identity.issuer, trusted=self._trusted, now=now)
        asked = presentations.read(token, expected, challenge_key=self._challenge_key)
        shown = presentations.shown(presentations.judge(asked, await self._statuses.get(asked.status_urls)))
        attempt.spends.append(shown.spend)
        return shown

    def _own_token(self, text: str, audience: str | None, now: datetime) -> AccessToken:
        if audience is None:
            _, claims = unverified_jws(text)
            unverified = claims.get("aud")
            audience = unverified if isinstance(unverified, str) else ""
        return verify_access_token(
            text,
            find_key=self._token_key,
            expected_issuer=self._identity.issuer,
            expected_audience=audience,
            now=now,
        )

    def _token_key(self, header: object, _claims: object) -> PublicKey:
        if not isinstance(header, dict) or header.get("kid") not in (None, self._identity.kid):
            raise WrongKey("kid is not a key of this bridge")
        return self._identity.token_key.public

    async def _resource(self, resource_id: str) -> Resource:
        return (await self._resource_and_user(resource_id, None))[0]

    async def _resource_and_user(self, resource_id: str, username: str | None) -> tuple[Resource, User | None]:
        async with self._store.transaction() as work:
            resource = await work.resource(resource_id)
            user = None if username is None else await work.user(username)
        if resource is None:
            raise UnknownResource(f"{resource_id[:200]} is not registered here")
        return resource, user

    async def _commit(self, grant: Grant, attempt: _Attempt, now: datetime) -> Issued:
        token = access_token(grant, identity=self._identity, token_id=new_token_id(), now=now)
        text = sign(token, identity=self._identity)
        async with self._store.transaction() as work:
            await _require_standing(work, grant)
            for value in attempt.spends:
                await _spend(work, value)
            if grant.code is not None and not await work.use_code(grant.code, token_id=token.id):
                used = await work.code(grant.code)
                attempt.replayed, attempt.burn = (used.token_id if used else None), None
                raise BadGrant("the code was used before")
            await work.add_token(token_record(token, parent_id=grant.parent_id), depends_on=grant.dependencies)
            if grant.authority.digest is not None:
                await work.add_evidence(grant.authority.digest, grant.authority.documents)
            await work.record(
                audit_trail.token_issued(
                    self._identity, grant, token_id=token.id, now=now, request_id=attempt.request.request_id
                )
            )
        lifetime = int((token.expires - now).total_seconds())
        return Issued(
            access_token=text,
            expires_in=lifetime,
            scope=" ".join(sorted(token.scopes)),
            exchanged=grant.type == "token_exchange",
        )

    async def _refused(self, attempt: _Attempt, error: DidAgentError, now: datetime) -> None:
        """Record a refusal, spend what was shown, and end what a replayed code had given (OAU-02)."""
        async with self._store.transaction() as work:
            if attempt.replayed is not None:
                await announce_tokens(
                    work, [attempt.replayed], reason="its code was used again", identity=self._identity, now=now
                )
            for value in attempt.spends:
                await work.spend(value)
            if attempt.burn is not None:
                await work.use_code(attempt.burn, token_id=None)
            await work.record(
                audit_trail.token_refused(
                    self._identity,
                    error,
                    client_id=attempt.client_id,
                    resources=attempt.request.resources,
                    grant=attempt.grant,
                    now=now,
                    request_id=attempt.request.request_id,
                )
            )


async def _require_standing(work: Transaction, grant: Grant) -> None:
    """Refuse when anything the token would be made from has ended meanwhile (DEL-10)."""
    kind = await work.denied(grant.dependencies)
    if kind == "agent-suspended":
        raise Suspended("an agent in the chain is suspended")
    if kind is not None:
        raise Revoked(f"something the token would be made from has ended: {kind}")


async def _spend(work: Transaction, value: Spend) -> None:
    if await work.spend(value):
        return
    if value.purpose == "client_assertion":
        raise ClientNotAuthenticated("the client assertion was used before")
    if value.purpose == "challenge":
        raise WrongChallenge("the challenge was answered before")
    raise Replayed("the presentation was used before")
