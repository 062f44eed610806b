"""Signing in at the company's OpenID provider: leave, come back, become an account here (OpenID Connect Core, 3.1)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from bridge.consent import cookie_digest
from bridge.model import Identity, User
from bridge.model.upstream import LOGIN_SECONDS, Finding, PendingLogin, Upstream, UpstreamAnswer, UpstreamPerson
from bridge.ports import Store, Transaction
from bridge.ports.upstream import UpstreamProvider
from bridge.service.revocation import end_tokens
from bridge.service.sessions import Sessions, SignIn
from bridge.upstream import (
    code_of,
    derived,
    person_of,
    require_id_token,
    require_pending,
    state_digest,
    username_for,
)
from did_agent.clock import Clock
from did_agent.errors import DidAgentError, InvalidParameter, Unavailable

MAX_BACK_TO: Final = 8_192  # characters of the address to come back to
_VERIFIER: Final = "PKCE verifier"
_NONCE: Final = "nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A browser that came back: what its login came to, and where it was going."""

    entered: SignIn
    back_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLogin:
    """Sends browsers to the provider and takes them back."""

    upstream: Upstream
    provider: UpstreamProvider
    store: Store
    sessions: Sessions
    identity: Identity
    key: bytes = field(repr=False)
    clock: Clock

    async def leave(self, cookie: str, *, back_to: str, again: bool) -> str:
        """Return where to send the browser that has this cookie.

        Raises: InvalidParameter, PeerUnavailable.
        """
        if len(back_to) > MAX_BACK_TO:
            raise InvalidParameter("the address to come back to is too long")
        metadata, state = await self.provider.metadata(), secrets.token_urlsafe(32)
        pending = PendingLogin(
            state=state_digest(state),
            browser=cookie_digest(cookie),
            issuer=self.upstream.issuer,
            back_to=back_to,
            expires=self.clock() + timedelta(seconds=LOGIN_SECONDS),
        )
        async with self.store.transaction() as work:
            await work.add_pending_login(pending)
        nonce, verifier = derived(self.key, state, _NONCE), derived(self.key, state, _VERIFIER)
        return self.provider.authorization_url(metadata, state=state, nonce=nonce, verifier=verifier, again=again)

    async def come_back(self, answer: UpstreamAnswer, cookie: str | None, *, request_id: str) -> Returned:
        """Return what the login came to; a refusal is recorded, whatever it was for.

        Raises: Unavailable.
        """
        state = answer.state or ""
        async with self.store.transaction() as work:
            pending = await work.take_pending_login(state_digest(state), browser=cookie_digest(cookie or ""))
        back_to = "account" if pending is None else pending.back_to
        try:
            person = await self._person(answer, pending, state)
        except DidAgentError as error:
            async with self.store.transaction() as work:
                why, target = f"at the provider: {error.detail}", self.upstream.issuer
                await self.sessions.refuse(work, error.code, why, target=target, request_id=request_id)
            if isinstance(error, Unavailable):
                raise
            return Returned(entered=SignIn(None, error.code), back_to=back_to)
        async with self.store.transaction() as work:
            user = await self._account(work, person)
            why = f"{self.upstream.issuer} vouches for the person"
            opened = await self.sessions.open(work, user.username, why, request_id=request_id)
            if cookie is not None:
                await work.end_session(cookie_digest(cookie))
        return Returned(entered=SignIn(opened, "allowed"), back_to=back_to)

    async def examine(self) -> Sequence[Finding]:
        """Return what works and what does not, for the operator."""
        registered = Finding(step="redirect_uri", ok=True, detail=f"register {self.upstream.redirect_uri} there")
        return [registered, *await self.provider.examine()]

    async def _person(self, answer: UpstreamAnswer, pending: PendingLogin | None, state: str) -> UpstreamPerson:
        require_pending(pending, issuer=self.upstream.issuer, now=self.clock())  # before anybody is asked anything
        metadata = await self.provider.metadata()
        code = code_of(answer, issuer=self.upstream.issuer, sends_issuer=metadata.sends_issuer)
        id_token = await self.provider.redeem(metadata, code, verifier=derived(self.key, state, _VERIFIER))
        claims = await self.provider.signed_claims(metadata, id_token)
        nonce = derived(self.key, state, _NONCE)
        require_id_token(claims, upstream=self.upstream, nonce=nonce, now=self.clock())
        return person_of(claims, upstream=self.upstream)

    async def _account(self, work: Transaction, person: UpstreamPerson) -> User:
        """Return the person's account: the one an operator linked, or their own, which follows the provider."""
        linked = await work.username_of(person.issuer, person.subject)
        user = None if linked is None else await work.user(linked)
        if user is None:
            username = username_for(person)
            user = replace(_known(person), username=username)
            await work.put_user(user)
            await work.link_user(person.issuer, person.subject, username)
            return user
        if user.password_hash:
            return user  # an operator made it and says what it may
        now_known = replace(_known(person), username=user.username, rights=user.rights)
        if user.groups - person.groups or user.operates - person.operates or user.organisation != person.organisation:
            # What was allowed by a group or a role ends with it, sessions elsewhere too (WEB-06).
            await work.sign_out(user.username)
            reason = "the person left a group, a role or an organisation"
            await end_tokens(work, [user.username], reason=reason, identity=self.identity, now=self.clock())
        if now_known != user:
            await work.follow_upstream(now_known)
        return now_known


def _known(person: UpstreamPerson) -> User:
    """Return the account of a person as the provider's word makes it."""
    return User(
        username="",
        name=person.name,
        password_hash="",
        rights={},
        groups=person.groups,
        organisation=person.organisation,
        operates=person.operates,
    )
