"""Answers whether somebody may do something, before it is done or instead of asking us for a token (AuthZEN 1.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from bridge import audit_trail
from bridge.authority import authority_at
from bridge.model import Agent, Resource, User
from bridge.model.consents import Consent
from bridge.service.callers import Caller
from bridge.service.lookup import Lookup
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.credential.capability import Capability, scopes_of, tool_scope
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.policy.active import ActivePolicy
from did_agent.policy.combination import CONSENT
from did_agent.policy.evaluation import Evaluation, details_of, evaluate
from did_agent.policy.facts import Facts

MAX_CONSENTS: Final = 200  # the newest of one person
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessQuestion:
    """May `user` (or the agent on its own) call `tool` at `resource`, through `agent`?"""

    resource: str
    tool: str
    user: str | None
    agent: str | None
    actors: tuple[str, ...] = ()  # earlier agents of the chain
    client: str = ""
    task: str | None = None
    risk: int | None = None
    arguments: Mapping[str, object] | None = None


class _Known(NamedTuple):
    policy: ActivePolicy
    resource: Resource | None
    user: User | None
    consents: tuple[Consent, ...]  # looked at where the resource demands one


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluations:
    """The policy decision point."""

    lookup: Lookup
    clock: Clock

    async def evaluate(
        self, questions: Sequence[AccessQuestion], *, semantic: Semantic, by: Caller, request_id: str
    ) -> list[Evaluation]:
        """Return an answer to each question, up to the one that ends the batch; all are recorded in one transaction.

        Raises: InsufficientScope when a resource is not the caller's, PeerUnavailable, PolicyUnavailable.
        """
        for question in questions:
            by.require(question.resource)
        now, found, events = self.clock(), list[Evaluation](), list[AuditEvent]()
        agents = await self._agents(questions)
        for question in questions:
            facts, policy = await self._facts(question, agents.get(question.agent or ""), now)
            answer = evaluate(policy, facts)
            found.append(answer)
            events.append(self._event(question, facts, answer, by, request_id))
            if _ends(semantic, answer):
                break
        async with self.lookup.store.transaction() as work:
            for event in events:
                await work.record(event)
        return found

    async def _agents(self, questions: Sequence[AccessQuestion]) -> dict[str, Agent | None]:
        names = sorted({question.agent for question in questions if question.agent})
        return {name: await self.lookup.registry.agent(name) for name in names}

    async def _facts(self, question: AccessQuestion, agent: Agent | None, now: datetime) -> tuple[Facts, ActivePolicy]:
        known = await self._known(question)
        user, resource = known.user, known.resource
        held = self._held(question, agent, now)
        facts = Facts(
            resource=question.resource,
            time=now,
            user=question.user,
            groups=user.groups if user else frozenset(),
            rights=user.rights.get(question.resource, frozenset()) if user else frozenset(),
            agent=question.agent,
            agent_tools=None if question.agent is None else scopes_of(held) & {tool_scope(question.tool)},
            actors=question.actors,
            tools=frozenset({tool_scope(question.tool)}),
            limits=_limits(question, resource, [one for one in known.consents if one.is_live(now)]),
            client=question.client or question.agent or "",
            task=question.task,
            risk=question.risk,
            arguments=question.arguments,
        )
        return facts, known.policy

    async def _known(self, question: AccessQuestion) -> _Known:
        async with self.lookup.store.transaction() as work:
            policy = await self.lookup.policies.current(work)
            resource = await work.resource(question.resource)
            user = None if question.user is None else await work.user(question.user)
            is_subset = user is not None and policy.at(question.resource).mode == "subset"
            consents = await work.consents(user.username, limit=MAX_CONSENTS) if user and is_subset else ()
        # The deployment's own parties are for operators, whom policy does not speak of.
        served = None if resource is None or resource.built_in else resource
        return _Known(policy, served, user, tuple(consents))

    def _held(self, question: AccessQuestion, agent: Agent | None, now: datetime) -> list[Capability]:
        """Return which capabilities of the agent cover the call; of one that is not active, none."""
        if agent is None or not agent.is_active:
            return []
        authority = authority_at(question.resource, self.lookup.chains(agent, now=now), now=now)
        if question.arguments is None:
            return list(authority.capabilities)
        return [one for one in authority.capabilities if one.covers(question.tool, question.arguments)]

    def _event(
        self, question: AccessQuestion, facts: Facts, answer: Evaluation, by: Caller, request_id: str
    ) -> AuditEvent:
        arguments = None if question.arguments is None else digest_uri(canonicalize(dict(question.arguments)))
        said: dict[str, Any] = {
            "principal": question.user or question.agent,
            "principal_kind": "user" if question.user else "agent",
            "actors": (question.agent, *question.actors) if question.user and question.agent else question.actors,
            "client_id": by.id,
            "target": question.tool,
            "resource": question.resource,
            "argument_digest": arguments,
            "decision": "allow" if answer.allowed else "deny",
            "reason": answer.reason,
            "policy": answer.policy,
            "request_id": request_id,
            "details": details_of(answer, facts),
        }
        return audit_trail.bridge_event(
            self.lookup.identity, "policy.evaluate", answer.explanation, now=facts.time, **said
        )


def _limits(
    question: AccessQuestion, resource: Resource | None, consents: Sequence[Consent]
) -> dict[str, frozenset[str]]:
    """Return what narrows the answer: the resource, and what the person ticked for this agent there, if anything."""
    limits = {"resource": frozenset(resource.scopes) if resource else frozenset[str]()}
    given = [one for one in consents if (one.agent, one.resource) == (question.agent, question.resource)]
    return {**limits, CONSENT: frozenset(scope for one in given for scope in one.scopes)} if given else limits


def _ends(semantic: Semantic, answer: Evaluation) -> bool:
    return semantic == ("permit_on_first_permit" if answer.allowed else "deny_on_first_deny")
