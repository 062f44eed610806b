"""Asking people out of band: an agent asks, the person looks and answers on their account's pages (OpenID CIBA 7)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bridge import audit_trail, backchannel
from bridge.authority import authority_at, choose_resource
from bridge.authorization_details import with_location
from bridge.backchannel import ApprovalPage, Question
from bridge.clients import Client, require_client
from bridge.consent import ticked_scopes
from bridge.model import TOKEN_SECONDS, Agent, Authority, OAuthRequest, Resource, Spend, User
from bridge.model.backchannel import POLL_SECONDS, QUIET, Asking
from bridge.model.consents import Consent
from bridge.policy import seen_by
from bridge.ports import Transaction
from bridge.ports.backchannel import Notice
from bridge.sender_constraint import prove_sender
from bridge.service.attempt import spend
from bridge.service.clients import Clients
from bridge.service.consents import make_receipt
from bridge.service.lookup import Lookup
from bridge.service.tasks import begin
from bridge.service.tenancy import require_within
from did_agent import errors
from did_agent.clock import Clock
from did_agent.policy.active import ActivePolicy
from did_agent.tokens.security_event import SUSPENSIONS

_REFUSALS = (errors.Malformed, errors.VerificationError, errors.Denied)


class Asked(NamedTuple):
    """The answer to an agent that asked."""

    auth_req_id: str
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Circumstances:
    """What is known of a question at one moment."""

    agent: Agent
    resource: Resource
    authority: Authority
    policy: ActivePolicy
    user: User | None
    is_foreign: bool = False  # whether agent or resource are another organisation's than the person's


@dataclass(frozen=True, slots=True, kw_only=True)
class Backchannel:
    """The use cases of `/bc-authorize` and of the pages where people answer."""

    lookup: Lookup
    clients: Clients
    notice: Notice
    clock: Clock

    # ---- the agent's side

    async def ask(self, asked: OAuthRequest) -> Asked:
        """Put a question to a person; the answer is the same whether or not there is such a person (OAU-15).

        Raises: ClientNotAuthenticated, UnauthorizedClient, BadDPoPProof, Malformed leaves, UnknownAgent,
        AgentNotActive, UnknownResource, EmptyGrant, TooManyPending, PeerUnavailable.
        """
        now = self.clock()
        client = require_client(await self.clients.authenticate(asked, now=now))
        spends = [client.spend] if client.spend else []
        try:
            asking, value = await self._asking(asked, client, spends, now)
            await self._put(asking, spends, asked, now)
        except _REFUSALS as error:
            await self._refuse(error, client, spends, asked, now)
            raise
        if asking.is_shown:
            self.notice.asked(asking)
        return Asked(value, int((asking.expires - now).total_seconds()), asking.interval)

    async def _asking(
        self, asked: OAuthRequest, client: Client, spends: list[Spend], now: datetime
    ) -> tuple[Asking, str]:
        url = f"{self.lookup.identity.issuer}/bc-authorize"
        sender = prove_sender(asked, url=url, now=now, require_nonce=None)
        spends += [sender.spend] if sender is not None and sender.spend is not None else []
        if client.agent is None:
            raise errors.UnauthorizedClient("the client is no agent: nobody would act")
        question = backchannel.parse(asked)
        known, _ = await self.clients.find(client.id)
        around = await self._circumstances(client.agent, with_location(asked).resources, question.username, now)
        backchannel.require_agent_rights(question, around.resource, around.authority)
        value = secrets.token_urlsafe(32)
        asking = Asking(
            digest=backchannel.asking_digest(value),
            username=question.username,
            client_id=client.id,
            client_name=client.id if known is None else known.name,
            agent=around.agent.did,
            agent_name=around.agent.name,
            resource=around.resource.id,
            resource_name=around.resource.name,
            scopes=question.scopes,
            message=question.message,
            details=question.details,
            task=question.task,
            jkt=None if sender is None else sender.confirmation.jkt,
            is_shown=_can_be_allowed(question, client, around, now),
            asked=now,
            expires=now + timedelta(seconds=question.seconds),
            interval=POLL_SECONDS,
            polled=now,
        )
        return asking, value

    async def _put(self, asking: Asking, spends: Iterable[Spend], asked: OAuthRequest, now: datetime) -> None:
        async with self.lookup.store.transaction() as work:
            kind = await work.denied({asking.client_id, asking.agent})
            if kind is not None:
                raise errors.Suspended("the agent is suspended") if kind in SUSPENSIONS else errors.Revoked(kind)
            for value in spends:
                await spend(work, value)
            person, agent = await work.open_askings(asking.username, asking.agent, now=now)
            backchannel.require_room(person=person, agent=agent)
            if not await work.add_asking(asking):
                raise errors.TooManyPending("the agent's last question to this person is not over")
            why = "an agent asks a person" if asking.is_shown else "an agent asks, and nobody is there to allow it"
            await self._record(work, "consent.ask", why, asking, now, asked.request_id)

    async def _refuse(
        self, error: errors.DidAgentError, client: Client, spends: Iterable[Spend], asked: OAuthRequest, now: datetime
    ) -> None:
        async with self.lookup.store.transaction() as work:
            for value in spends:
                await work.spend(value)
            event = audit_trail.bridge_event(
                self.lookup.identity,
                "consent.ask",
                error.detail or error.public,
                now=now,
                decision="deny",
                reason=error.code,
                client_id=client.id,
                request_id=asked.request_id,
            )
            await work.record(event)

    async def _circumstances(
        self, agent_did: str, resources: Sequence[str], username: str, now: datetime
    ) -> _Circumstances:
        agent = await self.lookup.agent(agent_did)
        chains = self.lookup.chains(agent, now=now)
        wanted = choose_resource(resources, chains)
        async with self.lookup.store.transaction() as work:
            policy = await self.lookup.policies.current(work)
            resource, user = await work.resource(wanted), await work.user(username)
            is_foreign = await _is_foreign(work, user, resource, agent)
        # The deployment's own parties are for operators, never for somebody acting for a user.
        if resource is None or resource.built_in:
            raise errors.UnknownResource("the resource is not served here")
        return _Circumstances(
            agent=agent,
            resource=seen_by(policy, resource),
            authority=authority_at(resource.id, chains, now=now),
            policy=policy,
            user=user,
            is_foreign=is_foreign,
        )

    # ---- the person's side

    async def waiting(self, user: User) -> Sequence[Asking]:
        """Return the questions that wait for this person, the oldest first."""
        async with self.lookup.store.transaction() as work:
            return await work.waiting_askings(user.username, now=self.clock())

    async def page(self, user: User, digest: str) -> ApprovalPage:
        """Return what the person is shown of a question to them.

        Raises: NotFound, also when there is nothing left that they could allow; PeerUnavailable.
        """
        now = self.clock()
        async with self.lookup.store.transaction() as work:
            asking = await work.asking(digest)
        if asking is None or asking.username != user.username or not asking.is_waiting(now):
            raise errors.NotFound("there is no such question, or it is over")
        try:
            around = await self._circumstances(asking.agent, [asking.resource], user.username, now)
            can_allow = _offered(asking.scopes, asking.details, asking.client_id, user, around, now)
        except (errors.VerificationError, errors.EmptyGrant, errors.UnknownResource, errors.ActorUnauthorized) as error:
            raise errors.NotFound("nothing is left that you could allow") from error
        return backchannel.approval_page(
            asking, agent=around.agent, resource=around.resource, user=user, can_allow=can_allow
        )

    async def allow(self, page: ApprovalPage, ticked: Iterable[str], *, request_id: str) -> None:
        """Record the consent to what was ticked on the page; nothing ticked is a no.

        Raises: InvalidParameter when something was ticked that was not offered, NotFound when it is over, Revoked.
        """
        now, asking = self.clock(), page.asking
        try:
            scopes = ticked_scopes(ticked, frozenset(scope for scope, _ in page.scopes))
        except errors.ConsentDenied:
            await self.deny(page, request_id=request_id)
            return
        consent = _consent(page, scopes, now=now)
        async with self.lookup.store.transaction() as work:
            if await work.denied({asking.client_id, asking.agent}) is not None:
                raise errors.Revoked("the agent has ended or is suspended")
            if not await work.answer_asking(asking.digest, "allowed", scopes, now=now, until=asking.expires):
                raise errors.NotFound("there is no such question, or it is over")
            await work.add_consent(consent, receipt=make_receipt(consent, identity=self.lookup.identity))
            await begin(work, consent, identity=self.lookup.identity)
            why = f"the user allowed {' '.join(sorted(scopes))}, out of band"
            await self._record(work, "consent.give", why, asking, now, request_id)

    async def deny(self, page: ApprovalPage, *, request_id: str) -> None:
        """Record a no; the agent cannot ask this person again for a while.

        Raises: NotFound when it is over.
        """
        now, asking = self.clock(), page.asking
        async with self.lookup.store.transaction() as work:
            until = max(asking.expires, now + QUIET)
            if not await work.answer_asking(asking.digest, "denied", frozenset(), now=now, until=until):
                raise errors.NotFound("there is no such question, or it is over")
            said = {"decision": "deny", "reason": errors.ConsentDenied.code}
            await self._record(work, "consent.give", "the user said no", asking, now, request_id, **said)

    async def _record(
        self, work: Transaction, action: str, why: str, asking: Asking, now: datetime, request_id: str, **said: Any
    ) -> None:
        event = audit_trail.bridge_event(
            self.lookup.identity,
            action,
            why,
            now=now,
            principal=asking.username,
            principal_kind="user",
            actors=(asking.agent,),
            client_id=asking.client_id,
            target=asking.agent,
            resource=asking.resource,
            request_id=request_id,
            **said,
        )
        await work.record(event)


def _can_be_allowed(question: Question, client: Client, around: _Circumstances, now: datetime) -> bool:
    """Tell whether the person exists and has something to decide; an agent that policy keeps from them is not shown."""
    # Nobody gets the same work done as somebody: how long it takes tells nothing (OAU-15).
    rights = {around.resource.id: frozenset(around.resource.scopes)}
    user = around.user or User(username=question.username, name="", password_hash="", rights=rights)
    try:
        can_allow = _offered(question.scopes, question.details, client.id, user, around, now)
    except (errors.EmptyGrant, errors.ActorUnauthorized, errors.UnknownResource):
        return False
    return bool(can_allow) and around.user is not None


async def _is_foreign(work: Transaction, user: User | None, resource: Resource | None, agent: Agent) -> bool:
    if user is None or resource is None:
        return False
    try:
        await require_within(work, user, resource, frozenset({agent.organisation}))
    except (errors.UnknownAgent, errors.UnknownResource):
        return True
    return False


def _offered(
    scopes: frozenset[str] | None,
    details: str | None,
    client_id: str,
    user: User,
    around: _Circumstances,
    now: datetime,
) -> frozenset[str]:
    if around.is_foreign:
        raise errors.UnknownResource("agent or resource are another organisation's")
    return backchannel.offered_to(
        user,
        agent=around.agent.did,
        client=client_id,
        scopes=scopes,
        details=details,
        resource=around.resource,
        authority=around.authority,
        policy=around.policy,
        now=now,
    )


def _consent(page: ApprovalPage, scopes: frozenset[str], *, now: datetime) -> Consent:
    """Return what is kept of a yes: everything that was shown, as it was shown."""
    asking = page.asking
    return Consent(
        id=asking.digest,
        username=asking.username,
        client_id=asking.client_id,
        client_name=asking.client_name,
        agent=page.agent.did,
        agent_name=page.agent.name,
        sponsor=page.agent.sponsor,
        resource=page.resource.id,
        resource_name=page.resource.name,
        scopes={scope: page.resource.scopes[scope] for scope in sorted(scopes)},
        redirect_host="",  # the answer is fetched, not sent
        message=asking.message,
        details=asking.details,
        task=asking.task,
        given=now,
        expires=asking.expires + timedelta(seconds=TOKEN_SECONDS),
    )
