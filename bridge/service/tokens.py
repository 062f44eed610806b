"""The token endpoint's use cases: issue by any grant that is offered (OAuth 2.1, 3.2)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from bridge import audit_trail, authorization_details, issuance, policy, tasks
from bridge.authorization_request import parse_scope
from bridge.clients import Client
from bridge.model import OFFLINE_ACCESS, Grant, Identity, OAuthRequest
from bridge.ports import Store, Transaction
from bridge.sender_constraint import prove_sender
from bridge.service.attempt import Attempt, spend
from bridge.service.clients import Clients
from bridge.service.registration import notes_of_use
from bridge.service.tenancy import Tenancy
from bridge.service.token_status import TokenStatusLists
from did_agent import errors
from did_agent.clock import Clock
from did_agent.tokens.challenges import make_challenge
from did_agent.tokens.nonces import current_nonce, require_nonce
from did_agent.tokens.security_event import SUSPENSIONS

_REFUSALS: Final = (errors.Malformed, errors.VerificationError, errors.Denied)


class GrantHandler(Protocol):
    """Judges requests of one grant type."""

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant: ...


class OfferedGrant(NamedTuple):
    """A grant type that is offered: the door's short name, in errors and audit events, and who judges."""

    name: str
    handler: GrantHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The answer of the token endpoint."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str = "Bearer"
    refresh_token: str | None = None
    authorization_details: list[dict[str, object]] | None = None  # granted, when any were asked for
    task: str | None = None  # id of what the token is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Judges token requests; every outcome is one transaction with its audit event."""

    store: Store
    identity: Identity
    clients: Clients
    grants: Mapping[str, OfferedGrant]  # by `grant_type`
    challenge_key: bytes = field(repr=False)
    clock: Clock
    statuses: TokenStatusLists
    tenancy: Tenancy
    demands_nonces: bool = False  # whether DPoP proofs must carry a nonce of ours

    def challenge(self) -> str:
        """Return a fresh challenge for a presentation."""
        return make_challenge(self.challenge_key, now=self.clock())

    def nonce(self) -> str:
        """Return the nonce that DPoP proofs may carry now."""
        return current_nonce(self.challenge_key, now=self.clock())

    def door(self, grant_type: str | None) -> str:
        """Return the short name of a grant type; empty when it is not offered."""
        offered = self.grants.get(grant_type or "")
        return offered.name if offered else ""

    async def issue(self, request: OAuthRequest) -> Issued:
        """Return a token, or refuse and record why.

        Raises: leaves of Malformed, VerificationError, Denied and Unavailable; `api.wire` names their codes.
        """
        attempt = Attempt(request, self.clock())
        try:
            try:
                return await self._commit(await self._judge(attempt), attempt)
            except _REFUSALS:
                if not attempt.remembers:
                    raise
                # What changed in the register since, a grant above all, must not wait for our memory to fade.
                attempt = Attempt(request, attempt.now, asks_anew=True)
                return await self._commit(await self._judge(attempt), attempt)
        except _REFUSALS as error:
            # An unreadable request decided nothing; one that proved something was a decision, and is recorded.
            if attempt.spends or not isinstance(error, errors.Malformed):
                await self._refuse(attempt, error)
            raise

    async def _judge(self, attempt: Attempt) -> Grant:
        request = attempt.request
        grant_type = request.get("grant_type")
        if grant_type is None:
            raise errors.MissingParameter("grant_type is required")
        if grant_type not in self.grants:
            raise errors.UnsupportedGrantType(
                "the grant is not offered; grant_types_supported of the metadata lists what is"
            )
        attempt.grant, handler = self.grants[grant_type]
        client = await self.clients.authenticate(request, now=attempt.now)
        if client is not None:
            attempt.client_id = client.id
            attempt.on_issue.extend(notes_of_use(client, self.clock))
            attempt.spends.extend([client.spend] if client.spend else [])
        self._prove_sender(attempt)
        attempt.details = authorization_details.parse(request.get("authorization_details"))
        attempt.request = authorization_details.with_location(request)
        attempt.scopes = _at_resource(parse_scope(request.get("scope")))
        found = await self.tenancy.placed(attempt, await handler.judge(attempt, client))
        judged = tasks.bound(found, request.get("task"), issuer=self.identity.issuer)
        grant = authorization_details.narrowed(judged, attempt.details, account=secrets.token_urlsafe(18))
        grant, attempt.told = policy.judge(attempt.policy, grant, user=attempt.user, now=attempt.now)
        return replace(authorization_details.settled(grant), confirmation=attempt.confirmation)

    def _prove_sender(self, attempt: Attempt) -> None:
        def require(nonce: str | None) -> None:
            require_nonce(nonce, self.challenge_key, now=attempt.now)

        proof = prove_sender(
            attempt.request,
            url=f"{self.identity.issuer}/token",
            now=attempt.now,
            require_nonce=require if self.demands_nonces else None,
        )
        if proof is not None:
            attempt.confirmation = proof.confirmation
            attempt.spends.extend([proof.spend] if proof.spend else [])

    async def _commit(self, grant: Grant, attempt: Attempt) -> Issued:
        token = issuance.access_token(grant, identity=self.identity, now=attempt.now)
        place = await self.statuses.place_for(token)
        if place is not None:
            token = replace(token, status=self.statuses.reference(place))
        signer = self.identity.ring.signer(attempt.signing_alg)
        text = issuance.sign(token, signer=signer)
        async with self.store.transaction() as work:
            await _require_standing(work, grant)
            for value in attempt.spends:
                await spend(work, value)
            for effect in attempt.on_issue:
                await effect(work, grant, token.id)
            task = tasks.begun(grant, now=attempt.now)
            if task is not None:
                await work.begin_task(task)
            await work.add_token(token.id, expires=token.expires, depends_on=(*grant.dependencies, signer.kid))
            if place is not None:
                await work.add_place(token.id, place, expires=token.expires)
            if grant.authority.digest is not None:
                await work.add_evidence(grant.authority.digest, grant.authority.documents)
            event = audit_trail.token_issued(
                self.identity,
                grant,
                told=attempt.told,
                token_id=token.id,
                now=attempt.now,
                request_id=attempt.request.request_id,
            )
            await work.record(event)
        return Issued(
            access_token=text,
            expires_in=int((token.expires - attempt.now).total_seconds()),
            scope=" ".join(sorted(token.scopes)),
            token_type="Bearer" if grant.confirmation is None or grant.confirmation.jkt is None else "DPoP",
            refresh_token=attempt.refresh_token,
            authorization_details=authorization_details.granted(grant),
            task=token.task,
        )

    async def _refuse(self, attempt: Attempt, error: errors.DidAgentError) -> None:
        """Record a refusal and spend what was shown."""
        async with self.store.transaction() as work:
            for effect in attempt.on_refusal:
                await effect(work)
            for value in attempt.spends:
                await work.spend(value)
            if isinstance(error, errors.AuthorizationPending):
                return  # nothing was decided: the question itself is on record
            event = audit_trail.token_refused(
                self.identity,
                error,
                attempt.request,
                told=policy.told_of_refusal(attempt.policy, error, attempt.facts()),
                client_id=attempt.client_id,
                grant=attempt.grant,
                now=attempt.now,
            )
            await work.record(event)


def _at_resource(scopes: frozenset[str] | None) -> frozenset[str] | None:
    # Clients add `offline_access` to all their requests because the metadata lists it; it asks nothing of a resource.
    return (scopes or frozenset()) - {OFFLINE_ACCESS} or None


async def _require_standing(work: Transaction, grant: Grant) -> None:
    """Refuse when anything the token would be made from has ended meanwhile (DEL-10)."""
    kind = await work.denied(grant.dependencies)
    if kind == "task-completed":
        raise errors.TaskCompleted("the task was completed")
    if kind is not None:
        error = errors.Suspended if kind in SUSPENSIONS else errors.Revoked
        raise error(f"something the token would be made from has ended: {kind}")
