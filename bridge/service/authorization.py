"""The authorization endpoint's use cases: open a request, sign in, consent (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from bridge import audit_trail
from bridge.authority import authority_at, choose_resource, granted_scopes, registered_chains
from bridge.authorization_request import Destination, Refusal, make_request, read_destination, require_form
from bridge.consent import ConsentPage, consent_page, cookie_digest, ticked_scopes
from bridge.grants.authorization_code import code_digest
from bridge.model import (
    CODE_SECONDS,
    TOKEN_SECONDS,
    Agent,
    Authority,
    AuthorizationRequest,
    Code,
    Identity,
    OAuthRequest,
    Resource,
    Session,
    Spend,
    User,
)
from bridge.model.clients import PushedRequest
from bridge.model.consents import Consent
from bridge.model.refresh import FAMILY_LIFE
from bridge.ports import Passwords, Registry, Store
from bridge.pushed_requests import REQUEST_SECONDS, request_digest
from bridge.redirects import shown_host
from bridge.service.attempt import spend
from bridge.service.clients import AGENT_PREFIX, Clients
from bridge.service.consents import make_receipt
from did_agent.clock import Clock
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import ConsentDenied, EmptyGrant, InvalidParameter, Revoked, UnknownResource

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
    agent: Agent | None  # who will act; None for a program that acts for no agent
    pushed: Spend | None  # the pushed request it came from, which is used once

    def offered_to(self, user: User) -> frozenset[str]:
        """Return what this person can allow.

        Raises: EmptyGrant naming the empty term.
        """
        rights = user.scopes_at(self.resource.id)
        held = None if self.agent is None else self.authority.capabilities
        return granted_scopes(self.request.scopes, self.resource, agent=held, user=rights)


class SignIn(NamedTuple):
    """What came of a login: a fresh cookie, or why there is none."""

    cookie: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Serves the pages between an authorization request and its code."""

    store: Store
    registry: Registry
    clients: Clients
    passwords: Passwords
    identity: Identity
    trusted: TrustedIssuers
    clock: Clock

    async def open(self, asked: OAuthRequest) -> Opened | Refusal:
        """Return the checked request, or a refusal for its client.

        Raises: Malformed when client or redirect URI are bad (a local page), Unavailable.
        """
        asked, pushed = await self._pushed(asked)
        return await self._open(asked, pushed)

    async def open_pushed(self, asked: OAuthRequest, pushed: PushedRequest) -> Opened | Refusal:
        """Return the same for a request that is just being pushed.

        Raises: as `open`.
        """
        spend_later = Spend("pushed_request", "", self.clock())
        return await self._open(replace(asked, parameters=pushed.parameters, resources=pushed.resources), spend_later)

    async def _open(self, asked: OAuthRequest, pushed: Spend | None) -> Opened | Refusal:
        now = self.clock()
        client, agent = await self.clients.find(asked.get("client_id") or "")
        destination = read_destination(asked, client, agent)
        refusal = require_form(asked, destination)
        if refusal is not None:
            return refusal
        if destination.client.require_pushed and pushed is None:
            return destination.refuse("invalid_request", "this client pushes its requests first")
        actor = agent or await self._requested(asked)
        if asked.get("requested_actor") is not None and (actor is None or not actor.is_active):
            return destination.refuse("invalid_request", "requested_actor is not an active agent")
        chains = registered_chains(actor, now=now, trusted=self.trusted) if actor else []
        try:
            wanted = await self._resource(asked, actor, chains)
            request = make_request(asked, destination, actor=actor, resource=wanted.id)
        except UnknownResource as error:
            return destination.refuse("invalid_target", error.detail)
        except EmptyGrant as error:
            return destination.refuse("invalid_scope", error.detail)
        if actor is None and wanted.admits != "clients":
            return destination.refuse("unauthorized_client", "the resource admits agents alone: name requested_actor")
        return Opened(
            destination=destination,
            request=request,
            resource=wanted,
            authority=authority_at(wanted.id, chains, now=now),
            agent=actor,
            pushed=pushed,
        )

    async def _pushed(self, asked: OAuthRequest) -> tuple[OAuthRequest, Spend | None]:
        """Return the request that was pushed in place of the one that only names it (RFC 9126, 4)."""
        uri = asked.get("request_uri")
        if uri is None:
            return asked, None
        digest, now = request_digest(uri), self.clock()
        async with self.store.transaction() as work:
            pushed = await work.pushed_request(digest, now=now)
        if pushed is None or pushed.client_id != asked.get("client_id"):
            raise InvalidParameter("request_uri is not known, has expired, or belongs to another client")
        # What came beside it is left alone: only what was pushed was authenticated.
        whole = replace(asked, parameters=pushed.parameters, resources=pushed.resources)
        return whole, Spend("pushed_request", digest, now + timedelta(seconds=REQUEST_SECONDS))

    async def _requested(self, asked: OAuthRequest) -> Agent | None:
        requested = asked.get("requested_actor") or ""
        return await self.registry.agent(requested) if requested.startswith(AGENT_PREFIX) else None

    async def _resource(self, asked: OAuthRequest, actor: Agent | None, chains: Sequence[VerifiedChain]) -> Resource:
        async with self.store.transaction() as work:
            if actor is None and not asked.resources:
                open_ones = [one for one in await work.resources() if one.admits == "clients"]
                resource = open_ones[0] if len(open_ones) == 1 else None
            else:
                resource = await work.resource(choose_resource(asked.resources, chains))
        # The deployment's own parties are for operators, never for somebody acting for a user.
        if resource is None or resource.built_in:
            raise UnknownResource("the resource is not served here")
        return resource

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
        uri = opened.request.redirect_uri
        try:
            offered = opened.offered_to(user)
        except EmptyGrant as error:
            return opened.destination.refuse("invalid_scope", error.detail)
        return consent_page(
            uri,
            client=opened.destination.client,
            agent=opened.agent,
            resource=opened.resource,
            user=user,
            offered=offered,
        )

    async def allow(
        self, opened: Opened, user: User, ticked: Iterable[str], *, offline: bool, request_id: str
    ) -> str | Refusal:
        """Return a code for what the user ticked; nothing ticked is a no; with `offline` it is allowed for longer.

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
            offline=offline and opened.request.offline,
            expires=now + timedelta(seconds=CODE_SECONDS),
        )
        async with self.store.transaction() as work:
            if await work.denied({opened.request.client_id, opened.request.actor or ""}) is not None:
                raise Revoked("the agent has ended or is suspended")
            if opened.pushed is not None:
                await spend(work, opened.pushed)
            await work.add_code(code)
            consent = _consent(opened, code, now=now)
            await work.add_consent(consent, receipt=make_receipt(consent, identity=self.identity))
            said = self._said(opened, user, request_id)
            longer = ", for longer" if code.offline else ""
            why = f"the user allowed {' '.join(sorted(scopes))}{longer}"
            await work.record(audit_trail.bridge_event(self.identity, "consent.give", why, now=now, **said))
        return value

    async def deny(self, opened: Opened, user: User, *, request_id: str, why: str = "the user said no") -> Refusal:
        """Return the refusal that tells the client of a no."""
        said = {**self._said(opened, user, request_id), "decision": "deny", "reason": ConsentDenied.code}
        event = audit_trail.bridge_event(self.identity, "consent.give", why, now=self.clock(), **said)
        async with self.store.transaction() as work:
            if opened.pushed is not None:
                await spend(work, opened.pushed)
            await work.record(event)
        return opened.destination.refuse("access_denied", "the user did not allow it")

    def _said(self, opened: Opened, user: User, request_id: str) -> dict[str, Any]:
        client_id, actor = opened.request.client_id, opened.request.actor
        return {
            "principal": user.username,
            "principal_kind": "user",
            "actors": (actor,) if actor else (),
            "client_id": client_id,
            "target": actor or client_id,
            "resource": opened.resource.id,
            "request_id": request_id,
        }


def _consent(opened: Opened, code: Code, *, now: datetime) -> Consent:
    """Return what is kept of a yes: everything that was shown, as it was shown."""
    client, agent, resource = opened.destination.client, opened.agent, opened.resource
    return Consent(
        id=code.digest,
        username=code.username,
        client_id=client.id,
        client_name=client.name,
        agent=None if agent is None else agent.did,
        agent_name=None if agent is None else agent.name,
        sponsor=None if agent is None else agent.sponsor,
        resource=resource.id,
        resource_name=resource.name,
        scopes={scope: resource.scopes[scope] for scope in sorted(code.scopes)},
        redirect_host=shown_host(code.request.redirect_uri),
        given=now,
        expires=now + FAMILY_LIFE if code.offline else code.expires + timedelta(seconds=TOKEN_SECONDS),
    )
