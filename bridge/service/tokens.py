"""The token endpoint's use cases: issue by one of three grants, and revoke (OAuth 2.1, RFC 8693, RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bridge import audit_trail, issuance, presentations
from bridge.authority import authority_at, choose_resource, registered_chains, require_active
from bridge.authorization_request import parse_scope
from bridge.challenges import make_challenge
from bridge.clients import Client, authenticate_client, require_client
from bridge.grants import authorization_code, client_credentials, token_exchange
from bridge.model import Code, Grant, Identity, OAuthRequest, Resource, Spend, User
from bridge.ports import Registry, Statuses, Store, Transaction
from bridge.service.revocation import end_tokens
from did_agent import errors
from did_agent.clock import Clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.policy.admission import principal_of
from did_agent.tokens.access_token import AccessToken

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


@dataclass(slots=True)
class _Attempt:
    """What became known while judging: spent and recorded together, whatever the outcome."""

    request: OAuthRequest
    now: datetime
    grant: str = ""
    scopes: frozenset[str] | None = None
    client_id: str | None = None
    spends: list[Spend] = field(default_factory=list)
    code: Spend | None = None  # a code that was shown and is burnt by a refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Judges token requests; every outcome is one transaction with its audit event."""

    store: Store
    registry: Registry
    statuses: Statuses
    identity: Identity
    trusted: TrustedIssuers
    operators: frozenset[str]
    challenge_key: bytes = field(repr=False)
    clock: Clock

    def challenge(self) -> str:
        """Return a fresh challenge for a presentation."""
        return make_challenge(self.challenge_key, now=self.clock())

    async def issue(self, request: OAuthRequest) -> Issued:
        """Return a token, or refuse and record why.

        Raises: leaves of Malformed, VerificationError, Denied and Unavailable; `api.wire` names their codes.
        """
        attempt = _Attempt(request, self.clock())
        try:
            return await self._commit(await self._judge(attempt), attempt)
        except (errors.Malformed, errors.VerificationError, errors.Denied) as error:
            # An unreadable request decided nothing; one that proved something was a decision, and is recorded.
            if attempt.spends or not isinstance(error, errors.Malformed):
                await self._refuse(attempt, error)
            raise

    async def revoke(self, request: OAuthRequest) -> None:
        """End a token of the calling client and all made from it; unknown tokens are no error (RFC 7009, 2.2).

        Raises: ClientNotAuthenticated, MissingParameter, UnauthorizedClient for somebody else's token.
        """
        now = self.clock()
        client = require_client(authenticate_client(request, issuer=self.identity.issuer, now=now))
        text = request.get("token")
        if text is None:
            raise errors.MissingParameter("token is required")
        try:
            token = issuance.verify_own(text, identity=self.identity, audience=None, now=now)
        except (errors.Malformed, errors.VerificationError):
            token = None
        async with self.store.transaction() as work:
            if token and token.client_id == client.did:
                await end_tokens(work, [token.id], reason="by its client", identity=self.identity, now=now)
                said = {"client_id": client.did, "target": token.id, "token_id": token.id, "resource": token.audience}
                event = audit_trail.bridge_event(
                    self.identity, "token.revoke", "by its client", now=now, request_id=request.request_id, **said
                )
                await work.record(event)
            await _spend(work, client.spend)
        if token and token.client_id != client.did:
            raise errors.UnauthorizedClient("the token belongs to another client")

    async def _judge(self, attempt: _Attempt) -> Grant:
        request = attempt.request
        grant_type = request.get("grant_type")
        if grant_type is None:
            raise errors.MissingParameter("grant_type is required")
        if grant_type not in GRANTS:
            raise errors.UnsupportedGrantType("the grant is not offered")
        attempt.grant = GRANTS[grant_type]
        client = authenticate_client(request, issuer=self.identity.issuer, now=attempt.now)
        if client is not None:
            attempt.client_id = client.did
            attempt.spends.append(client.spend)
        if request.get("authorization_details") is not None:
            raise errors.UnsupportedDetails("authorization_details come from credentials, not from requests")
        attempt.scopes = parse_scope(request.get("scope"))
        if attempt.grant == "client_credentials":
            return await self._client_credentials(attempt, require_client(client))
        if attempt.grant == "authorization_code":
            return await self._authorization_code(attempt, require_client(client))
        return await self._token_exchange(attempt, client)

    async def _client_credentials(self, attempt: _Attempt, client: Client) -> Grant:
        wanted, now = attempt.request.resources, attempt.now
        if client.did in self.operators:
            served, _ = await self._load(choose_resource(wanted, ()))
            return client_credentials.judge_operator(client.did, requested=attempt.scopes, resource=served, now=now)
        agent = require_active(await self.registry.agent(client.did))
        chains = registered_chains(agent, now=now, trusted=self.trusted)
        resource, _ = await self._load(choose_resource(wanted, chains))
        authority = authority_at(resource.id, chains, now=now)
        return client_credentials.judge_agent(
            client.did, requested=attempt.scopes, resource=resource, authority=authority, now=now
        )

    async def _authorization_code(self, attempt: _Attempt, client: Client) -> Grant:
        now, redemption = attempt.now, authorization_code.parse(attempt.request)
        async with self.store.transaction() as work:
            code = await work.code(redemption.code)
        if code is None:
            raise errors.BadGrant("the code is not known")
        try:
            # From here on a refusal burns the code: its one use was tried, perhaps by the wrong hands (DEL-02).
            attempt.code = _spend_of(code)
            authorization_code.require_binding(code, redemption, client_id=client.did, now=now)
            shown = redemption.actor_token and await self._shown(attempt, redemption.actor_token)
            authorization_code.require_actor(code, holder=shown.holder if shown else client.did)
            agent = require_active(await self.registry.agent(client.did))
        except errors.WrongChallenge:
            attempt.code = None  # the client gets a fresh challenge and comes again
            raise
        except (errors.Malformed, errors.VerificationError) as error:
            raise errors.BadGrant(f"{error.code}: {error.detail}") from error  # at this door all is one grant
        if not set(attempt.request.resources) <= {code.request.resource}:
            raise errors.UnknownResource("the code is for another resource")
        resource, user = await self._load(code.request.resource, code.username)
        chains = [shown.chain] if shown else registered_chains(agent, now=now, trusted=self.trusted)
        authority = authority_at(resource.id, chains, now=now)
        return authorization_code.judge(
            code, requested=attempt.scopes, user=user, resource=resource, authority=authority, now=now
        )

    async def _token_exchange(self, attempt: _Attempt, client: Client | None) -> Grant:
        now, exchange = attempt.now, token_exchange.parse(attempt.request)
        subject = exchange.token and await self._subject(attempt, exchange.token)
        shown = await self._shown(attempt, exchange.presentation)
        attempt.client_id = shown.holder
        # The presentation proves the client's key; whatever else names a client must name the same (DEL-01).
        if {client and client.did, attempt.request.get("client_id")} - {None, shown.holder}:
            raise errors.ClientNotAuthenticated("the client is not the holder of the presentation")
        require_active(await self.registry.agent(shown.holder))
        username = subject.subject if subject else principal_of(shown.chain).id
        wanted = (subject.audience,) if subject else attempt.request.resources
        resource, user = await self._load(choose_resource(wanted, [shown.chain]), username)
        authority = authority_at(resource.id, [shown.chain], now=now)
        if subject:
            return token_exchange.judge_next_hop(
                subject, shown, requested=attempt.scopes, resource=resource, authority=authority, user=user, now=now
            )
        return token_exchange.judge_presentation(
            shown, requested=attempt.scopes, resource=resource, authority=authority, user=user, now=now
        )

    async def _subject(self, attempt: _Attempt, text: str) -> AccessToken:
        wanted = attempt.request.resources
        subject = issuance.verify_own(text, identity=self.identity, audience=None, now=attempt.now)
        if not set(wanted) <= {subject.audience}:
            raise errors.UnknownResource("a token is exchanged for the resource it was made for")
        async with self.store.transaction() as work:
            if not await work.is_standing(subject.id):
                raise errors.Revoked("the subject token was revoked, or was not recorded here")
        return subject

    async def _shown(self, attempt: _Attempt, token: str) -> presentations.Shown:
        asked = presentations.read(
            token,
            issuer=self.identity.issuer,
            trusted=self.trusted,
            challenge_key=self.challenge_key,
            now=attempt.now,
        )
        shown = presentations.judge(asked, await self.statuses.get(asked.status_urls))
        attempt.spends.append(shown.spend)
        return shown

    async def _load(self, resource_id: str, username: str | None = None) -> tuple[Resource, User | None]:
        async with self.store.transaction() as work:
            resource = await work.resource(resource_id)
            user = None if username is None else await work.user(username)
        if resource is None:
            raise errors.UnknownResource(f"{resource_id[:200]} is not registered here")
        return resource, user

    async def _commit(self, grant: Grant, attempt: _Attempt) -> Issued:
        token = issuance.access_token(grant, identity=self.identity, now=attempt.now)
        text = issuance.sign(token, identity=self.identity)
        async with self.store.transaction() as work:
            await _require_standing(work, grant)
            for value in (*attempt.spends, *([attempt.code] if attempt.code else ())):
                await _spend(work, value)
            await work.add_token(token.id, expires=token.expires, depends_on=grant.dependencies)
            if grant.authority.digest is not None:
                await work.add_evidence(grant.authority.digest, grant.authority.documents)
            event = audit_trail.token_issued(
                self.identity, grant, token_id=token.id, now=attempt.now, request_id=attempt.request.request_id
            )
            await work.record(event)
        lifetime = int((token.expires - attempt.now).total_seconds())
        return Issued(access_token=text, expires_in=lifetime, scope=" ".join(sorted(token.scopes)))

    async def _refuse(self, attempt: _Attempt, error: errors.DidAgentError) -> None:
        """Record a refusal, spend what was shown, and end what a replayed code had given (OAU-02)."""
        now = attempt.now
        async with self.store.transaction() as work:
            if attempt.code is not None and not await work.spend(attempt.code):
                ids = [attempt.code.key]
                await end_tokens(work, ids, reason="its code was used again", identity=self.identity, now=now)
            for value in attempt.spends:
                await work.spend(value)
            event = audit_trail.token_refused(
                self.identity, error, attempt.request, client_id=attempt.client_id, grant=attempt.grant, now=now
            )
            await work.record(event)


def _spend_of(code: Code) -> Spend:
    # Remembered a day longer than the code: a replay must still find the tokens it has to end.
    return Spend("code", code.digest, code.expires + timedelta(days=1))


async def _require_standing(work: Transaction, grant: Grant) -> None:
    """Refuse when anything the token would be made from has ended meanwhile (DEL-10)."""
    kind = await work.denied(grant.dependencies)
    if kind is not None:
        error = errors.Suspended if kind == "agent-suspended" else errors.Revoked
        raise error(f"something the token would be made from has ended: {kind}")


async def _spend(work: Transaction, value: Spend) -> None:
    if not await work.spend(value):
        refusals: dict[str, errors.DidAgentError] = {
            "client_assertion": errors.ClientNotAuthenticated("the client assertion was used before"),
            "challenge": errors.WrongChallenge("the challenge was answered before"),
            "presentation": errors.Replayed("the presentation was used before"),
            "code": errors.BadGrant("the code was used before"),
        }
        raise refusals[value.purpose]
