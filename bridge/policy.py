"""What the policy in force makes of a request: who may trigger whom, which mode, which rules, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bridge.model import Grant, Resource, User
from did_agent.credential.capability import Capability, parse_bare_capability, scopes_of
from did_agent.errors import DidAgentError, EmptyGrant
from did_agent.policy.active import ActivePolicy, Subject, refusals
from did_agent.policy.combination import Combination, Terms, answers, explain
from did_agent.policy.evaluation import MAX_DETAIL, UNION, question_of
from did_agent.policy.facts import Facts
from did_agent.policy.groups import spoken_of
from did_agent.policy.rules import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an audit event says of a decision: mode and version, both partial answers, and the facts to replay it."""

    policy: str | None = None
    explanation: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def seen_by(policy: ActivePolicy, resource: Resource) -> Resource:
    """Return a resource with the way rights combine there."""
    rule = policy.at(resource.id)
    return replace(resource, mode=rule.mode, autonomous=rule.autonomous)


def with_roles(policy: ActivePolicy, user: User, resource: str) -> User:
    """Return a person with what their roles give them at `resource`."""
    by_role = policy.role_scopes(subject_of(user), resource)
    return replace(user, roles={resource: by_role}) if by_role else user


def subject_of(user: User) -> Subject:
    """Return a person as policy sees them."""
    return Subject(user.username, is_user=True, groups=user.groups)


def judge(policy: ActivePolicy, grant: Grant, *, user: User | None, now: datetime) -> tuple[Grant, Told]:
    """Return what the policy leaves of a grant, and what is told of it.

    The one place all grants pass: whichever way a subject's rights reached an agent, here it is asked whether they may.
    Raises: ActorUnauthorized for a protected agent, EmptyGrant when rules leave nothing.
    """
    if grant.combination is None and (grant.subject_profile == "service" or grant.is_operating):
        # Somebody who operates, at the deployment's parties: policy is about everything else.
        return grant, Told(policy=policy.label("agent_only"))
    combination, facts = combination_of(grant), facts_of(grant, user, now=now)
    groups = user.groups if user is not None else frozenset[str]()
    is_user = grant.subject_profile == "user"
    policy.require_triggers(Subject(grant.subject, is_user=is_user, groups=groups), grant.actors)
    ruled = policy.after_rules(question_of(facts), grant.scopes)
    shown = spoken_of(policy.document, groups) if is_user else frozenset[str]()
    left = replace(grant, scopes=ruled.scopes, groups=shown)
    details = {**answers(combination.terms), "policy_digest": policy.digest, "facts": facts.recorded()}
    if ruled.rules or ruled.refused:
        details["rules"] = "; ".join(filter(None, [*ruled.rules, refusals(ruled.refused)]))[:MAX_DETAIL]
    if combination.mode == "union":
        left = _widened(left)
        details["union"] = UNION
    label = policy.label(combination.mode)
    return left, Told(policy=label, explanation=explain(combination.terms), details=_present(details))


def offered(
    policy: ActivePolicy,
    combined: Combination,
    *,
    user: User,
    agent: str | None,
    client: str,
    resource: str,
    now: datetime,
) -> frozenset[str]:
    """Return what a person can be asked to allow: what would be granted if they ticked all of it.

    Raises: ActorUnauthorized when they may not have the agent act for them, EmptyGrant.
    """
    actors = () if agent is None else (agent,)
    policy.require_triggers(subject_of(user), actors)
    question = Question(
        kind="user",
        principal=user.username,
        groups=user.groups,
        actors=actors,
        client=client,
        resource=resource,
        now=now,
    )
    return policy.after_rules(question, combined.granted).scopes


def told_of_refusal(policy: ActivePolicy, error: DidAgentError, facts: Facts | None = None) -> Told:
    """Return what is told of a refused request: both partial answers, when it came as far as asking."""
    said = {name: text[:MAX_DETAIL] for name, text in error.facts.items()} if isinstance(error, EmptyGrant) else {}
    mode, terms = said.pop("mode", "-"), error.terms if isinstance(error, EmptyGrant) else None
    why = f"; {explain(terms)}" if isinstance(terms, Terms) else ""
    details = {**said, "policy_digest": policy.digest}
    if facts is not None and isinstance(terms, Terms):
        details["facts"] = replace(facts, **_of_terms(terms)).recorded() or ""
    return Told(
        policy=f"{mode}/{policy.version}", explanation=(error.detail or error.public) + why, details=_present(details)
    )


def facts_of(grant: Grant, user: User | None, *, now: datetime) -> Facts:
    """Return the facts of a grant, as they are recorded and replayed.

    Raises: as `combination_of`.
    """
    is_user = grant.subject_profile == "user"
    everyone = grant.actors if is_user else (*grant.actors, grant.subject)
    return Facts(
        resource=grant.resource,
        time=now,
        user=grant.subject if is_user else None,
        groups=user.groups if is_user and user is not None else frozenset(),
        rights=user.rights.get(grant.resource, frozenset()) if is_user and user is not None else frozenset(),
        agent=everyone[0] if everyone else None,
        actors=everyone[1:],
        client=grant.client_id,
        task=grant.task,
        **_of_terms(_narrowed(grant)),
    )


def _narrowed(grant: Grant) -> Terms:
    """Return the terms of a grant, with what authorization details left of it: they are no term of their own."""
    combination = combination_of(grant)
    if grant.scopes == combination.granted:
        return combination.terms
    return replace(combination.terms, limits={**combination.terms.limits, "authorization details": grant.scopes})


def combination_of(grant: Grant) -> Combination:
    """Return how the scopes of a grant came about; what was never combined was never decided, and is nothing.

    Raises: EmptyGrant.
    """
    if grant.combination is None:
        raise EmptyGrant("the grant was not combined from terms")
    return grant.combination


def _of_terms(terms: Terms) -> dict[str, Any]:
    return {
        "agent_tools": terms.agent,
        "chain": terms.is_chain,
        "tools": terms.requested,
        "limits": terms.limits,
    }


def _present(details: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in details.items() if text}


def _widened(grant: Grant) -> Grant:
    """Return a union's grant as tokens say it: what only the user may becomes the agent's here, and the reverse."""
    held = scopes_of(grant.authority.capabilities)
    extra: dict[str, dict[str, object]] = {scope.removeprefix("tool:"): {} for scope in sorted(grant.scopes - held)}
    added: tuple[Capability, ...] = ()
    if extra:
        added = (parse_bare_capability({"resource": [grant.resource], "tools": extra}),)
    authority = replace(grant.authority, capabilities=(*grant.authority.capabilities, *added))
    return replace(grant, authority=authority, entitlements=(grant.entitlements or frozenset()) | grant.scopes)
