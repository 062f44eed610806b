"""The authorization endpoint's use cases: open a request, consent (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from bridge import audit_trail, operating
from bridge.authority import authority_at, choose_resource, granted_scopes, registered_chains
from bridge.authorization_details import in_words, with_location
from bridge.authorization_details import offered as within_details
from bridge.authorization_details import parse as parse_details
from bridge.authorization_request import Destination, Refusal, make_request, read_destination, require_form
from bridge.consent import ConsentPage, consent_page, ticked_scopes
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
    Spend,
    User,
)
from bridge.model.clients import OAuthClient, PushedRequest
from bridge.model.consents import Consent
from bridge.model.refresh import FAMILY_LIFE
from bridge.policy import offered, seen_by, with_roles
from bridge.ports import Registry, Store
from bridge.pushed_requests import REQUEST_SECONDS, request_digest
from bridge.redirects import shown_host
from bridge.service.attempt import spend
from bridge.service.clients import AGENT_PREFIX, Clients
from bridge.service.consents import make_receipt
from bridge.service.policy import PolicyInForce
from bridge.service.tasks import begin
from bridge.service.tenancy import require_within
from did_agent.clock import Clock
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.trust import TrustSource
from did_agent.errors import (
    ActorUnauthorized,
    ConsentDenied,
    EmptyGrant,
    InvalidParameter,
    Revoked,
    UnknownAgent,
    UnknownResource,
    UnsupportedDetails,
)
from did_agent.policy.active import ActivePolicy
from did_agent.policy.combination import CONSENT

NO_AGENT: Final = ("invalid_request", "requested_actor is not an active agent")
NO_RESOURCE: Final = ("invalid_target", "the resource is not served here")
NOT_SERVED: Final = NO_RESOURCE[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request that may be answered by redirect, and what the agent could get."""

    destination: Destination
    request: AuthorizationRequest
    resource: Resource
    authority: Authority
    agent: Agent | None  # who will act; None for a program that acts for no agent
    pushed: Spend | None  # the pushed request it came from, which is used once
    policy: ActivePolicy  # that was in force when it was opened
    now: datetime

    def offered_to(self, user: User) -> frozenset[str]:
        """Return what this person can allow.

        Raises: EmptyGrant naming the empty term, ActorUnauthorized when they may not have the agent act for them.
        """
        if self.resource.built_in:
            return operating.offered(self.request.scopes, user, self.resource)
        resource, held = self.resource, None if self.agent is None else self.authority.capabilities
        combined = granted_scopes(
            self.request.scopes,
            resource,
            agent=held,
            user=with_roles(self.policy, user, resource.id).scopes_at(resource.id),
            earlier={CONSENT: frozenset(resource.scopes)},  # as if all were ticked: this is what is asked
            is_chain=self.authority.delegated,
        )
        agent = None if self.agent is None else self.agent.did
        client = self.destination.client.id
        can_allow = offered(
            self.policy, combined, user=user, agent=agent, client=client, resource=resource.id, now=self.now
        )
        return within_details(can_allow, held, parse_details(self.request.details))


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Serves the pages between an authorization request and its code."""

    store: Store
    registry: Registry
    clients: Clients
    identity: Identity
    trusted: TrustSource
    policies: PolicyInForce
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
            return destination.refuse(*NO_AGENT)
        chains = registered_chains(actor, now=now, trusted=self.trusted.current(now)) if actor else []
        try:
            wanted, policy = await self._resource(with_location(asked), destination.client, actor, chains)
            request = make_request(asked, destination, actor=actor, resource=wanted.id)
        except UnknownResource as error:
            return destination.refuse("invalid_target", error.detail)
        except EmptyGrant as error:
            return destination.refuse("invalid_scope", error.detail)
        except UnsupportedDetails as error:
            return destination.refuse("invalid_authorization_details", error.detail)
        if actor is None and wanted.admits != "clients" and not wanted.built_in:
            return destination.refuse("unauthorized_client", "the resource admits agents alone: name requested_actor")
        return Opened(
            destination=destination,
            request=request,
            resource=wanted,
            authority=authority_at(wanted.id, chains, now=now),
            agent=actor,
            pushed=pushed,
            policy=policy,
            now=now,
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

    async def _resource(
        self, asked: OAuthRequest, client: OAuthClient, actor: Agent | None, chains: Sequence[VerifiedChain]
    ) -> tuple[Resource, ActivePolicy]:
        async with self.store.transaction() as work:
            policy = await self.policies.current(work)
            if actor is None and not asked.resources:
                open_ones = [one for one in await work.resources() if one.admits == "clients"]
                resource = open_ones[0] if len(open_ones) == 1 else None
            else:
                resource = await work.resource(choose_resource(asked.resources, chains))
        # The deployment's own parties are for who operates it, at the console an operator registered as one: never for
        # somebody acting for a user, and never for a program that came from anywhere else.
        if resource is None or (resource.built_in and not operating.is_console(client, actor, asked)):
            raise UnknownResource(NOT_SERVED)
        return seen_by(policy, resource), policy

    async def page(self, opened: Opened, user: User, *, request_id: str) -> ConsentPage | Refusal:
        """Return what to show, or the refusal when nothing is left to consent to, or nobody may be asked."""
        uri, refusal = opened.request.redirect_uri, await self._foreign(opened, user, request_id=request_id)
        if refusal is not None:
            return refusal
        try:
            can_allow = opened.offered_to(user)
        except EmptyGrant as error:
            return opened.destination.refuse("invalid_scope", error.detail)
        except ActorUnauthorized as error:
            return await self.deny(opened, user, request_id=request_id, why=error.detail, reason=error.code)
        return consent_page(
            uri,
            client=opened.destination.client,
            agent=opened.agent,
            resource=opened.resource,
            user=user,
            offered=can_allow,
            details=in_words(parse_details(opened.request.details)),
            task=opened.request.task,
        )

    async def allow(
        self, opened: Opened, user: User, ticked: Iterable[str], *, offline: bool, request_id: str
    ) -> str | Refusal:
        """Return a code for what the user ticked; nothing ticked is a no; with `offline` it is allowed for longer.

        Raises: InvalidParameter when something was ticked that was not offered, Revoked.
        """
        now, value = self.clock(), secrets.token_urlsafe(32)
        refusal = await self._foreign(opened, user, request_id=request_id)
        if refusal is not None:
            return refusal
        try:
            scopes = ticked_scopes(ticked, opened.offered_to(user))
        except (ConsentDenied, EmptyGrant, ActorUnauthorized) as error:
            return await self.deny(opened, user, request_id=request_id, why=error.detail, reason=error.code)
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
            await begin(work, consent, identity=self.identity)
            said = self._said(opened, user, request_id)
            longer = ", for longer" if code.offline else ""
            why = f"the user allowed {' '.join(sorted(scopes))}{longer}"
            await work.record(audit_trail.bridge_event(self.identity, "consent.give", why, now=now, **said))
        return value

    async def deny(
        self,
        opened: Opened,
        user: User,
        *,
        request_id: str,
        why: str = "the user said no",
        reason: str = ConsentDenied.code,
    ) -> Refusal:
        """Return the refusal that tells the client of a no."""
        said = {**self._said(opened, user, request_id), "decision": "deny", "reason": reason}
        event = audit_trail.bridge_event(self.identity, "consent.give", why, now=self.clock(), **said)
        async with self.store.transaction() as work:
            if opened.pushed is not None:
                await spend(work, opened.pushed)
            await work.record(event)
        return opened.destination.refuse("access_denied", "the user did not allow it")

    async def _foreign(self, opened: Opened, user: User, *, request_id: str) -> Refusal | None:
        """Return the refusal of what is another organisation's, in the words for what does not exist, if it is."""
        if opened.resource.built_in:
            return None
        agents = frozenset[str]() if opened.agent is None else frozenset({opened.agent.organisation})
        try:
            async with self.store.transaction() as work:
                await require_within(work, user, opened.resource, agents)
        except (UnknownAgent, UnknownResource) as error:
            await self.deny(opened, user, request_id=request_id, why=error.detail, reason=error.code)
            answer = NO_RESOURCE if isinstance(error, UnknownResource) else NO_AGENT
            return opened.destination.refuse(*answer)
        return None

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
            "policy": opened.policy.label(opened.resource.mode),
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
        details=opened.request.details,
        task=opened.request.task,
        expires=now + FAMILY_LIFE if code.offline else code.expires + timedelta(seconds=TOKEN_SECONDS),
    )
