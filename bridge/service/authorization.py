"""The authorization endpoint's use cases: open a request, sign in, consent (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from bridge import audit_trail
from bridge.authority import authority_at, choose_resource, granted_scopes, registered_chains
from bridge.authorization_request import Destination, Refusal, make_request, read_destination, require_form
from bridge.consent import ConsentPage, consent_page, cookie_digest, ticked_scopes
from bridge.grants.authorization_code import code_digest
from bridge.model import (
    CODE_SECONDS,
    Authority,
    AuthorizationRequest,
    Code,
    Identity,
    OAuthRequest,
    Resource,
    Session,
    User,
)
from bridge.ports import Passwords, Registry, Store
from did_agent.clock import Clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import ConsentDenied, EmptyGrant, Revoked, UnknownResource

FAILURE_WINDOW: Final = timedelta(minutes=15)
MAX_FAILURES: Final = 10  # failed logins of one account within the window
MAX_PASSWORD: Final = 1_024  # characters that are hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request that may be answered by redirect, and what the agent could get."""

    destination: Destination
    request: AuthorizationRequest
    resource: Resource
    authority: Authority

    def offered_to(self, user: User) -> frozenset[str]:
        """Return what this person can allow.

        Raises: EmptyGrant naming the empty term.
        """
        rights = user.scopes_at(self.resource.id)
        return granted_scopes(self.request.scopes, self.resource, agent=self.authority.capabilities, user=rights)


class SignIn(NamedTuple):
    """What came of a login: a fresh cookie, or why there is none."""

    cookie: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Serves the pages between an authorization request and its code."""

    store: Store
    registry: Registry
    passwords: Passwords
    identity: Identity
    trusted: TrustedIssuers
    clock: Clock

    async def open(self, asked: OAuthRequest) -> Opened | Refusal:
        """Return the checked request, or a refusal for its client.

        Raises: Malformed when client or redirect URI are bad (a local page), Unavailable.
        """
        client_id, now = asked.get("client_id") or "", self.clock()
        agent = await self.registry.agent(client_id) if client_id.startswith("did:key:z") else None
        destination = read_destination(asked, agent)
        refusal = require_form(asked, destination)
        if refusal is not None:
            return refusal
        chains = registered_chains(destination.agent, now=now, trusted=self.trusted)
        try:
            request = make_request(asked, destination, resource=choose_resource(asked.resources, chains))
        except UnknownResource as error:
            return destination.refuse("invalid_target", error.detail)
        except EmptyGrant as error:
            return destination.refuse("invalid_scope", error.detail)
        async with self.store.transaction() as work:
            resource = await work.resource(request.resource)
        # The deployment's own parties are for operators, never for somebody acting for a user.
        if resource is None or resource.built_in:
            return destination.refuse("invalid_target", "the resource is not served here")
        authority = authority_at(resource.id, chains, now=now)
        return Opened(destination=destination, request=request, resource=resource, authority=authority)

    async def user_of(self, cookie: str | None) -> User | None:
        """Return who is signed in with this cookie, and count this as use."""
        now = self.clock()
        async with self.store.transaction() as work:
            session = cookie and await work.session(cookie_digest(cookie))
            if not session or not session.is_live(now):
                return None
            await work.put_session(replace(session, seen=now))
            return await work.user(session.username)

    async def sign_in(self, username: str, password: str, *, request_id: str) -> SignIn:
        """Check a login and open a session under a new cookie; wrong name and wrong password look alike (OAU-15)."""
        now = self.clock()
        async with self.store.transaction() as work:
            user = await work.user(username)
            failures = await work.failures(username, since=now - FAILURE_WINDOW)
        reason = "too_many_attempts" if failures >= MAX_FAILURES else "wrong_password"
        right = reason == "wrong_password" and await self.passwords.is_right(
            user.password_hash if user else None, password[:MAX_PASSWORD]
        )
        async with self.store.transaction() as work:
            # The account is read again: it may have been deleted or changed while the hash was computed.
            if user is None or not right or await work.user(username) != user:
                if reason == "wrong_password":
                    await work.add_failure(username, now=now, forget_before=now - FAILURE_WINDOW)
                said = {"decision": "deny", "reason": reason, "target": username[:128], "request_id": request_id}
                await work.record(
                    audit_trail.bridge_event(self.identity, "user.login", "the login was refused", now=now, **said)
                )
                return SignIn(None, reason)
            cookie = secrets.token_urlsafe(32)
            await work.put_session(Session(digest=cookie_digest(cookie), username=username, created=now, seen=now))
            said = {"principal": username, "principal_kind": "user", "request_id": request_id}
            await work.record(
                audit_trail.bridge_event(self.identity, "user.login", "the password is right", now=now, **said)
            )
        return SignIn(cookie, "allowed")

    async def sign_out(self, cookie: str | None) -> None:
        """End the session of this cookie."""
        async with self.store.transaction() as work:
            await work.end_session(cookie_digest(cookie or ""))

    def page(self, opened: Opened, user: User) -> ConsentPage | Refusal:
        """Return what to show, or the refusal when nothing is left to consent to."""
        agent, uri = opened.destination.agent, opened.request.redirect_uri
        try:
            offered = opened.offered_to(user)
        except EmptyGrant as error:
            return opened.destination.refuse("invalid_scope", error.detail)
        return consent_page(uri, agent=agent, resource=opened.resource, user=user, offered=offered)

    async def allow(self, opened: Opened, user: User, ticked: Iterable[str], *, request_id: str) -> str | Refusal:
        """Return a code for what the user ticked; nothing ticked is a no.

        Raises: InvalidParameter when something was ticked that was not offered, Revoked.
        """
        now, value = self.clock(), secrets.token_urlsafe(32)
        try:
            scopes = ticked_scopes(ticked, opened.offered_to(user))
        except (ConsentDenied, EmptyGrant) as error:
            return await self.deny(opened, user, request_id=request_id, why=error.detail)
        code = Code(
            digest=code_digest(value),
            request=opened.request,
            username=user.username,
            scopes=scopes,
            expires=now + timedelta(seconds=CODE_SECONDS),
        )
        async with self.store.transaction() as work:
            if await work.denied({opened.request.client_id}) is not None:
                raise Revoked("the agent has ended or is suspended")
            await work.add_code(code)
            said = self._said(opened, user, request_id)
            why = f"the user allowed {' '.join(sorted(scopes))}"
            await work.record(audit_trail.bridge_event(self.identity, "consent.give", why, now=now, **said))
        return value

    async def deny(self, opened: Opened, user: User, *, request_id: str, why: str = "the user said no") -> Refusal:
        """Return the refusal that tells the client of a no."""
        said = {**self._said(opened, user, request_id), "decision": "deny", "reason": ConsentDenied.code}
        event = audit_trail.bridge_event(self.identity, "consent.give", why, now=self.clock(), **said)
        async with self.store.transaction() as work:
            await work.record(event)
        return opened.destination.refuse("access_denied", "the user did not allow it")

    def _said(self, opened: Opened, user: User, request_id: str) -> dict[str, Any]:
        agent = opened.request.client_id
        return {
            "principal": user.username,
            "principal_kind": "user",
            "actors": (agent,),
            "client_id": agent,
            "target": agent,
            "resource": opened.resource.id,
            "request_id": request_id,
        }
