"""`authorization_code`: a code, its PKCE secret, and the proven actor the user consented to (OAuth 2.1, 4.1)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bridge.authority import authority_at
from bridge.clients import Client, Credentials, prove_agent, require_named, subject_of
from bridge.grants import authorization_code, refresh_token
from bridge.model import Code, Grant, Spend
from bridge.model.refresh import FAMILY_LIFE, RefreshFamily
from bridge.ports import Transaction
from bridge.service.attempt import Attempt, spend
from bridge.service.following import Following
from bridge.service.lookup import Lookup
from bridge.service.revocation import end_tokens
from did_agent import errors
from did_agent.credential.chain import VerifiedChain


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """The grant of an agent acting for a user."""

    lookup: Lookup
    following: Following
    refresh_key: bytes = field(repr=False)

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant.

        Raises: MissingParameter, InvalidParameter, BadGrant, ClientNotAuthenticated, UnknownResource, EmptyGrant,
        WrongChallenge when the actor's presentation needs a fresh challenge.
        """
        caller, now = require_named(client), attempt.now
        redemption = authorization_code.parse(attempt.request)
        async with self.lookup.store.transaction() as work:
            code = await work.code(redemption.code)
        if code is None:
            raise errors.BadGrant("the code is not known")
        # From here on a refusal burns the code: its one use was tried, perhaps by the wrong hands (DEL-02).
        used = _Use(self.lookup, code, attempt)
        attempt.on_issue.append(used.issued)
        attempt.on_refusal.append(used.refused)
        try:
            if caller.id != code.request.client_id == code.request.actor:
                code = await self.following.code(attempt, code, proven=caller.id)
            authorization_code.require_binding(
                code, redemption, client_id=caller.id, confirmation=attempt.confirmation, now=now
            )
            holder, chain = await self._proven(attempt, redemption.actor, caller)
            if holder is not None and holder != code.request.actor:
                code = await self.following.code(attempt, code, proven=holder)
            authorization_code.require_actor(code, holder=holder)
            agent = None if holder is None else await self.lookup.agent(holder)
        except errors.WrongChallenge:
            attempt.on_refusal.remove(used.refused)  # the client gets a fresh challenge and comes again
            raise
        except (errors.Malformed, errors.VerificationError) as error:
            raise errors.BadGrant(f"{error.code}: {error.detail}") from error  # at this door all is one grant
        if not set(attempt.request.resources) <= {code.request.resource}:
            raise errors.UnknownResource("the code is for another resource")
        resource, user = await self.lookup.resource_and_user(attempt, code.request.resource, code.username)
        chains = [chain] if chain else self.lookup.chains(agent, now=now) if agent else []
        authority = authority_at(resource.id, chains, now=now)
        grant = authorization_code.judge(
            code, requested=attempt.scopes, user=user, resource=resource, authority=authority, now=now
        )
        return self._with_family(attempt, code, grant) if code.offline else grant

    def _with_family(self, attempt: Attempt, code: Code, grant: Grant) -> Grant:
        """Begin a family of refresh tokens, bound to the key that the code was redeemed with."""
        family = RefreshFamily(
            id=secrets.token_urlsafe(18),
            code=code,
            confirmation=attempt.confirmation,
            generation=0,
            rotated=attempt.now,
            expires=attempt.now + FAMILY_LIFE,
        )

        async def begin(work: Transaction, _grant: Grant, _token_id: str) -> None:
            await work.add_family(family)

        attempt.on_issue.append(begin)
        attempt.refresh_token = refresh_token.write(family.id, 0, self.refresh_key)
        return replace(grant, made_from=grant.made_from | {family.id})

    async def _proven(
        self, attempt: Attempt, proof: authorization_code.ActorProof | None, caller: Client
    ) -> tuple[str | None, VerifiedChain | None]:
        """Return the agent that proves itself to be the actor, and the chain it shows with that, if any."""
        if proof is None:
            return caller.agent, None
        if proof.kind == "presentation":
            shown = await self.lookup.shown(attempt, proof.text)
            return shown.holder, shown.chain
        if proof.kind == "assertion":
            credentials = Credentials("private_key_jwt", subject_of(proof.text), proof.text)
            proven = prove_agent(credentials, issuer=self.lookup.identity.issuer, now=attempt.now)
            attempt.spends.extend([proven.spend] if proven.spend else [])
            return proven.agent, None
        token = await self.lookup.own_token(proof.text, now=attempt.now)
        # A direct credential of the actor: what somebody gave it to act for them proves nothing of it (Actor Profile).
        if (
            token.subject_profile != "ai_agent"
            or token.actors
            or token.confirmation not in (None, attempt.confirmation)
        ):
            raise errors.ActorMismatch("the token is no direct credential of an agent")
        return token.subject, None


@dataclass(frozen=True, slots=True)
class _Use:
    """The one use of a code; a second one ends what the first gave (OAU-02)."""

    lookup: Lookup
    code: Code
    attempt: Attempt

    @property
    def _spend(self) -> Spend:
        # Remembered a day longer than the code: a replay must still find the tokens it has to end.
        return Spend("code", self.code.digest, self.code.expires + timedelta(days=1))

    async def issued(self, work: Transaction, _grant: Grant, _token_id: str) -> None:
        await spend(work, self._spend)

    async def refused(self, work: Transaction) -> None:
        if not await work.spend(self._spend):
            await work.end_families(self.code.digest)
            ids, reason = [self.code.digest], "its code was used again"
            await end_tokens(work, ids, reason=reason, identity=self.lookup.identity, now=self.attempt.now)
