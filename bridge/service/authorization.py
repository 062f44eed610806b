"""The authorization endpoint's use cases: open a request, sign in, consent (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bridge import audit_trail
from bridge.authority import authority_at, choose_resource, granted_scopes, registered_chains
from bridge.authorization_request import (
    Destination,
    Refusal,
    make_request,
    parse_scope,
    read_destination,
    require_form,
)
from bridge.consent import ConsentPage, consent_page, cookie_digest, new_cookie, ticked_scopes
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
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import ConsentDenied, EmptyGrant, Malformed, Revoked, UnknownResource

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
    prompt: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A code for the client, to be sent by redirect."""

    redirect_uri: str
    state: str | None
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What came of a login: a fresh cookie, or the sentence to show."""

    cookie: str | None
    message: str = ""
    is_limited: bool = False


class Authorization:
    """Serves the pages between an authorization request and its code."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        passwords: Passwords,
        identity: Identity,
        trusted: TrustedIssuers,
        clock: Clock,
    ) -> None:
        self._store, self._registry, self._passwords = store, registry, passwords
        self._identity, self._trusted, self._clock = identity, trusted, clock

    async def open(self, parameters: OAuthRequest) -> Opened | Refusal:
        """Return the checked request, or a refusal for its client.

        Raises: Malformed when client or redirect URI are bad (a local page), Unavailable.
        """
        client_id = parameters.get("client_id") or ""
        agent = await self._registry.agent(client_id) if client_id.startswith("did:key:z") else None
        destination = read_destination(parameters, agent)
        refusal = require_form(parameters, destination)
        if refusal is not None:
            return refusal
        chains = registered_chains(destination.agent, now=self._clock(), trusted=self._trusted)
        held = [capability for chain in chains for capability in chain.capabilities]
        try:
            wanted = choose_resource(parameters.resources, held)
            scopes = parse_scope(parameters.get("scope"))
        except UnknownResource as error:
            return destination.refuse("invalid_target", error.detail)
        except Malformed as error:
            return destination.refuse("invalid_scope", error.detail)
        async with self._store.transaction() as work:
            resource = await work.resource(wanted)
        # The deployment's own parties are for operators, never for somebody acting for a user.
        if resource is None or resource.built_in:
            return destination.refuse("invalid_target", "the resource is not served here")
        request = make_request(parameters, destination, resource=resource.id, scopes=scopes)
        authority = authority_at(resource.id, chains, now=self._clock())
        prompt = frozenset((parameters.get("prompt") or "").split())
        return Opened(destination=destination, request=request, resource=resource, authority=authority, prompt=prompt)

    async def user_of(self, cookie: str | None) -> User | None:
        """Return who is signed in with this cookie, and count this as use."""
        if cookie is None:
            return None
        now = self._clock()
        async with self._store.transaction() as work:
            session = await work.session(cookie_digest(cookie))
            if session is None or not session.is_live(now):
                return None
            await work.put_session(replace(session, seen=now))
            return await work.user(session.username)

    async def sign_in(self, username: str, password: str, *, request_id: str | None) -> SignIn:
        """Check a login and open a session under a new cookie; wrong name and wrong password look alike (OAU-15)."""
        now = self._clock()
        async with self._store.transaction() as work:
            user = await work.user(username)
            failures = await work.failures(username, since=now - FAILURE_WINDOW)
        if failures >= MAX_FAILURES:
            await self._record_login(username, "too_many_attempts", now, request_id)
            return SignIn(cookie=None, message="Too many attempts. Wait a quarter of an hour.", is_limited=True)
        right = await self._passwords.is_right(user.password_hash if user else None, password[:MAX_PASSWORD])
        if user is None or not right:
            await self._record_login(username, "wrong_password", now, request_id)
            return SignIn(cookie=None, message="User name or password is wrong.")
        cookie = new_cookie()
        async with self._store.transaction() as work:
            # The account is read again: it may have been deleted or changed while the hash was computed.
            if await work.user(username) != user:
                return SignIn(cookie=None, message="User name or password is wrong.")
            await work.put_session(Session(digest=cookie_digest(cookie), username=username, created=now, seen=now))
            await work.record(
                audit_trail.bridge_event(
                    self._identity,
                    action="user.login",
                    now=now,
                    explanation="the password is right",
                    principal=username,
                    principal_kind="user",
                    request_id=request_id,
                )
            )
        return SignIn(cookie=cookie)

    async def sign_out(self, cookie: str | None) -> None:
        """End the session of this cookie."""
        if cookie is not None:
            async with self._store.transaction() as work:
                await work.end_session(cookie_digest(cookie))

    def page(self, opened: Opened, user: User) -> ConsentPage | Refusal:
        """Return what to show, or the refusal when nothing is left to consent to."""
        try:
            offered = self._offered(opened, user)
        except EmptyGrant as error:
            return opened.destination.refuse("invalid_scope", error.detail)
        return consent_page(
            opened.request, agent=opened.destination.agent, resource=opened.resource, user=user, offered=offered
        )

    async def decide(
        self, opened: Opened, user: User, *, allow: bool, ticked: Iterable[str], request_id: str | None
    ) -> Answer | Refusal:
        """Return a code for what the user ticked, or the refusal; both are recorded.

        Raises: InvalidParameter when something was ticked that was not offered.
        """
        now = self._clock()
        try:
            scopes = ticked_scopes(ticked, self._offered(opened, user)) if allow else frozenset[str]()
            if not allow:
                raise ConsentDenied("the user said no")  # noqa: TRY301  # recorded below like every other no
        except (ConsentDenied, EmptyGrant) as error:
            await self._record_consent(opened, user, error.code, error.detail, now, request_id)
            return opened.destination.refuse("access_denied", "the user did not allow it")
        value = secrets.token_urlsafe(32)
        request = opened.request
        code = Code(
            digest=code_digest(value),
            request=request,
            username=user.username,
            scopes=scopes,
            expires=now + timedelta(seconds=CODE_SECONDS),
        )
        async with self._store.transaction() as work:
            if await work.denied({request.requested_actor}) is not None:
                raise Revoked("the agent has ended or is suspended")
            await work.add_code(code)
            why = f"the user allowed {' '.join(sorted(scopes))}"
            await work.record(self._consent(opened, user, reason="allowed", why=why, now=now, request_id=request_id))
        return Answer(redirect_uri=request.redirect_uri, state=request.state, code=value)

    def _offered(self, opened: Opened, user: User) -> frozenset[str]:
        return granted_scopes(
            opened.request.scopes,
            opened.resource,
            agent=opened.authority.capabilities,
            user=user.scopes_at(opened.resource.id),
        )

    async def _record_login(self, username: str, reason: str, now: datetime, request_id: str | None) -> None:
        async with self._store.transaction() as work:
            if reason == "wrong_password":
                await work.add_failure(username, now=now, forget_before=now - FAILURE_WINDOW)
            await work.record(
                audit_trail.bridge_event(
                    self._identity,
                    action="user.login",
                    now=now,
                    decision="deny",
                    reason=reason,
                    explanation="the login was refused",
                    target=username[:128],
                    request_id=request_id,
                )
            )

    async def _record_consent(
        self, opened: Opened, user: User, reason: str, why: str, now: datetime, request_id: str | None
    ) -> None:
        async with self._store.transaction() as work:
            await work.record(self._consent(opened, user, reason=reason, why=why, now=now, request_id=request_id))

    def _consent(
        self, opened: Opened, user: User, *, reason: str, why: str, now: datetime, request_id: str | None
    ) -> AuditEvent:
        return audit_trail.bridge_event(
            self._identity,
            action="consent.give",
            now=now,
            decision="allow" if reason == "allowed" else "deny",
            reason=reason,
            explanation=why,
            principal=user.username,
            principal_kind="user",
            actors=(opened.request.requested_actor,),
            client_id=opened.request.client_id,
            target=opened.request.requested_actor,
            resource=opened.resource.id,
            request_id=request_id,
        )
