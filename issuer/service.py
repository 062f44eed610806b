"""The issuer's use cases: each loads, judges, saves and records in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.credential.capability import Capability
from did_agent.credential.issuance import new_id
from did_agent.credential.status import Purpose
from did_agent.did.key import did_key
from did_agent.errors import BadGrant, DidAgentError, NotFound, StoreUnavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.enrolment import invite, prove_possession
from issuer.granting import LIST_CAPACITY, grant_capabilities, identify, sign_list
from issuer.model import ANNOUNCED, Agent, Change, Grant, NewAgent, Notice, Operator, next_state
from issuer.naming import require_name, require_redirect, require_text, skeleton
from issuer.ports import News, Store, Work

MAX_STANDING = 16  # credentials of one answer: as many as one presentation may hold
_TRIES = 16  # random indices tried in a list that is at most half full; 2^-16 that none is free


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerService:
    """Who is an agent, what it was granted, and what has ended."""

    store: Store
    news: News
    key: SigningKey
    url: str
    clock: Clock

    async def create_agent(self, new: NewAgent, *, by: Operator) -> tuple[Agent, str]:
        """Register an agent and return it with the challenge it enrols by.

        Raises: InvalidParameter, StateConflict when a name like it is taken, StoreUnavailable.
        """
        now = self.clock()
        agent = Agent(
            agent_id=new_id(),
            name=require_name(new.name),
            sponsor=require_text("sponsor", new.sponsor),
            description=require_text("description", new.description),
            metadata={
                require_text("metadata", key): require_text("metadata", new.metadata[key]) for key in new.metadata
            },
            redirect_uris=tuple(require_redirect(uri) for uri in new.redirect_uris),
            state="pending",
            did=None,
            created=now,
            changed=now,
        )
        challenge, enrolment = invite(agent.agent_id, now=now)
        async with self.store.work() as work:
            await work.add_agent(agent, enrolment, skeleton=skeleton(agent.name))
            await work.record(self._event(by, "agent.create", agent.agent_id, f"{agent.name} was registered"))
        self.news.wake_audit()
        return agent, challenge

    async def enrol(
        self, agent_id: str, presentation: Mapping[str, object], *, request_id: str
    ) -> tuple[Agent, Mapping[str, object]]:
        """Bind the key that answers the invitation to the agent; it is active from now on.

        Raises: VerificationError, BadGrant when the invitation is spent or over, StateConflict, StoreUnavailable.
        """
        now = self.clock()
        did, digest = prove_possession(presentation, issuer_url=self.url, now=now)
        async with self.store.work() as work:
            if not await work.spend_enrolment(agent_id, digest, now):
                raise BadGrant("the invitation is unknown, spent or over")
            agent = await _required(work, agent_id)
            active = replace(agent, did=did, state=next_state(agent.state, "enrol"), changed=now)
            await work.change_agent(active)
            by = Operator(principal=did, kind="agent", client_id=did, request_id=request_id)
            await work.record(self._event(by, "agent.enrol", agent_id, f"{agent.name} proved its key"))
        self.news.wake_audit()
        return active, identify(active, key=self.key, now=now)

    async def change_state(self, identifier: str, change: Change, *, reason: str, by: Operator) -> tuple[Agent, bool]:
        """Suspend, resume or retire an agent; say also whether the bridge has heard already.

        Raises: NotFound, StateConflict, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.clock(), require_text("reason", reason)
        async with self.store.work() as work:
            agent = await _required(work, identifier)
            changed = replace(agent, state=next_state(agent.state, change), changed=now)
            await work.change_agent(changed)
            if agent.did is not None:
                await work.add_notice(
                    Notice(id=new_id(), kind=ANNOUNCED[change], subject=agent.did, reason=reason, at=now)
                )
            event = self._event(by, f"agent.{change}", agent.did or agent.agent_id, reason)
            await work.record(event)
        self.news.wake_audit()
        return changed, await self.news.push()

    async def issue_credential(  # what an operator may say of a grant
        self,
        identifier: str,
        capabilities: Sequence[Capability],
        *,
        valid_seconds: int,
        max_depth: int,
        on_behalf_of: str | None,
        by: Operator,
        cryptosuite: str = DEFAULT_SUITE,
    ) -> Grant:
        """Grant capabilities to an active agent.

        Raises: NotFound, StateConflict, InvalidParameter, BadCredential, StoreUnavailable.
        """
        now = self.clock()
        async with self.store.work() as work:
            agent = await _required(work, identifier)
            number = await work.next_list(LIST_CAPACITY)
            for _ in range(_TRIES):
                grant = grant_capabilities(
                    agent,
                    capabilities,
                    key=self.key,
                    issuer_url=self.url,
                    list_number=number,
                    valid_seconds=valid_seconds,
                    max_depth=max_depth,
                    on_behalf_of=on_behalf_of,
                    cryptosuite=cryptosuite,
                    now=now,
                )
                if await work.add_grant(grant):
                    break
            else:
                raise StoreUnavailable("no free status index was found")
            tools = sorted({tool for capability in capabilities for tool in capability.tools})
            event = self._event(by, "credential.issue", grant.id, f"{agent.name} may {', '.join(tools)}"[:500])
            await work.record(replace(event, credential_ids=(grant.id,), details={"agent": grant.did}))
        self.news.wake_audit()
        return grant

    async def revoke_credential(self, identifier: str, *, reason: str, by: Operator) -> tuple[Grant, bool]:
        """Revoke a credential, for good; say also whether the bridge has heard already.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.clock(), require_text("reason", reason)
        async with self.store.work() as work:
            grant = await work.grant(identifier)
            if grant is None:
                raise NotFound("there is no such credential")
            if await work.revoke_grant(identifier, now):
                await work.add_notice(
                    Notice(id=new_id(), kind="credential-revoked", subject=identifier, reason=reason, at=now)
                )
            event = self._event(by, "credential.revoke", identifier, reason)
            await work.record(replace(event, credential_ids=(identifier,), details={"agent": grant.did}))
        self.news.wake_audit()
        return replace(grant, revoked=grant.revoked or now), await self.news.push()

    async def standing(self, did: str) -> tuple[Agent, Sequence[Grant]]:
        """Return an agent in any state, and its credentials that are in force.

        Raises: NotFound, StoreUnavailable.
        """
        now = self.clock()
        async with self.store.work() as work:
            agent = await work.agent(did)
            if agent is None:
                raise NotFound("there is no such agent")
            grants = await work.grants(agent_id=agent.agent_id, state="active", now=now, limit=MAX_STANDING)
        return agent, grants

    async def status_list(self, purpose: Purpose, number: int) -> Mapping[str, object]:
        """Return a status list as it is now, signed.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.store.work() as work:
            if not 0 < number <= await work.next_list(LIST_CAPACITY):
                raise NotFound("there is no such status list")
            indices = await work.set_bits(purpose, number)
        now = self.clock()
        return sign_list(indices, purpose=purpose, number=number, key=self.key, issuer_url=self.url, now=now)

    async def record_refusal(self, error: DidAgentError, *, action: str, target: str | None, by: Operator) -> None:
        """Record an action that was refused.

        Raises: StoreUnavailable; then the refusal is all the more a refusal.
        """
        event = self._event(by, action, target, error.detail[:500] or error.public)
        await self.record(replace(event, decision="deny", reason=error.code))

    async def record(self, event: AuditEvent) -> None:
        """Record an event in a transaction of its own; what the verifier needs of an audit sink.

        Raises: StoreUnavailable.
        """
        async with self.store.work() as work:
            await work.record(event)
        self.news.wake_audit()

    def _event(self, by: Operator, action: str, target: str | None, explanation: str) -> AuditEvent:
        return AuditEvent(
            id=uuid.uuid4().urn,
            time=self.clock(),
            source=did_key(self.key.public),
            party="issuer",
            principal=by.principal,
            principal_kind=by.kind,
            actors=by.actors,
            client_id=by.client_id,
            action=action,
            target=target,
            resource=self.url,
            argument_digest=None,
            decision="allow",
            reason="allowed",
            explanation=explanation or action,
            policy=None,
            credential_ids=(),
            token_id=by.token_id,
            evidence=None,
            request_id=by.request_id,
            details={},
        )


async def _required(work: Work, identifier: str) -> Agent:
    agent = await work.agent(identifier)
    if agent is None:
        raise NotFound("there is no such agent")
    return agent
