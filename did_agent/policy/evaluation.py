"""The whole decision from facts alone: what saved decisions, replays and AuthZEN questions are answered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from did_agent.errors import ActorUnauthorized, DidAgentError, EmptyGrant
from did_agent.policy.active import NOTHING_LEFT, ActivePolicy, Ruled, Subject, refusals
from did_agent.policy.combination import PolicyMode, Terms, answers, applied_mode, barred, combine, explain
from did_agent.policy.facts import Facts
from did_agent.policy.rules import Question

ALLOWED: Final = "allowed"
MAX_DETAIL: Final = 1_000  # characters of one detail of an audit event
UNION: Final = "rights of user or agent, by approval of two operators"

Stage = Literal["triggers", "mode", "terms", "rules"]  # in the order in which they are asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer and everything that explains it."""

    granted: frozenset[str]  # scopes; empty: no
    reason: str  # stable code
    detail: str = ""  # what said no, in words
    terms: Terms
    mode: PolicyMode
    policy: str  # mode and version
    digest: str
    rules: tuple[str, ...] = field(default=())  # that mattered
    refused_at: Stage | None = None  # what said no
    failed: bool = False  # whether it was a rule that could not be evaluated

    @property
    def allowed(self) -> bool:
        """Tell whether anything was granted."""
        return bool(self.granted)

    @property
    def answers(self) -> Mapping[str, str]:
        """May the user, may the agent: both, whichever decided."""
        return answers(self.terms)

    @property
    def explanation(self) -> str:
        """Both answers in a sentence, with what said no."""
        told = (explain(self.terms), self.detail) if self.allowed else (self.detail, explain(self.terms))
        return "; ".join(filter(None, told))


def evaluate(policy: ActivePolicy, facts: Facts) -> Evaluation:
    """Return what `policy` makes of `facts`; there is always an answer, and it always has its reasons."""
    subject = subject_of(facts)
    terms, rule = terms_of(policy, facts), policy.at(facts.resource)
    mode = applied_mode(rule.mode, terms)
    try:
        policy.require_triggers(subject, _actors(facts))
    except ActorUnauthorized as error:
        return _no(policy, terms, mode, "triggers", error)
    try:
        combined = combine(rule.mode, terms, autonomous=rule.autonomous)
    except EmptyGrant as error:
        bar = barred(rule.mode, terms, autonomous=rule.autonomous)
        return _no(policy, terms, mode, "terms" if bar is None else "mode", error)
    ruled = policy.ruled(question_of(facts), combined.granted) if policy.rules else Ruled(scopes=combined.granted)
    detail = ""
    if ruled.refused:
        left = "refused by rules: {}" if ruled.scopes else NOTHING_LEFT + " ({})"
        detail = left.format(refusals(ruled.refused))
    return Evaluation(
        granted=ruled.scopes,
        reason=ALLOWED if ruled.scopes else EmptyGrant.code,
        detail=detail,
        terms=terms,
        mode=combined.mode,
        policy=policy.label(combined.mode),
        digest=policy.digest,
        rules=ruled.rules,
        refused_at=None if ruled.scopes else "rules",
        failed=ruled.failed,
    )


def _no(policy: ActivePolicy, terms: Terms, mode: PolicyMode, at: Stage, error: DidAgentError) -> Evaluation:
    return Evaluation(
        granted=frozenset(),
        reason=error.code,
        detail=error.detail,
        terms=terms,
        mode=mode,
        policy=policy.label(mode),
        digest=policy.digest,
        refused_at=at,
    )


def details_of(evaluation: Evaluation, facts: Facts) -> dict[str, str]:
    """Return the details an audit event has of a decision, the same at the bridge and at the call."""
    mattered = "; ".join(
        filter(None, [*evaluation.rules, evaluation.detail if evaluation.refused_at == "rules" else ""])
    )
    found = {
        **evaluation.answers,
        "scope": " ".join(sorted(evaluation.granted)),
        "policy_digest": evaluation.digest,
        "rules": mattered[:MAX_DETAIL],
        "facts": facts.recorded(),
    }
    if evaluation.mode == "union" and evaluation.allowed:
        found["union"] = UNION
    return {name: text for name, text in found.items() if text}


def subject_of(facts: Facts) -> Subject:
    """Return on whose behalf the facts speak; an agent that is handed rights is set to work by the one before it."""
    if facts.user is not None:
        return Subject(facts.user, is_user=True, groups=facts.groups)
    return Subject(facts.actors[-1] if facts.actors else facts.agent or "", is_user=False)


def terms_of(policy: ActivePolicy, facts: Facts) -> Terms:
    """Return the terms of the combination."""
    user = None if facts.user is None else facts.rights | policy.role_scopes(subject_of(facts), facts.resource)
    agent = facts.agent_tools if facts.agent is None else facts.agent_tools or frozenset()
    is_chain = facts.chain or bool(facts.actors)
    return Terms(requested=facts.tools, limits=facts.limits, user=user, agent=agent, is_chain=is_chain)


def question_of(facts: Facts) -> Question:
    """Return what the rules are asked."""
    subject = subject_of(facts)
    return Question(
        kind="user" if subject.is_user else "agent",
        principal=subject.id,
        groups=subject.groups,
        actors=(facts.agent, *facts.actors) if facts.agent else (),
        client=facts.client,
        resource=facts.resource,
        now=facts.time,
        task=facts.task,
        risk=facts.risk,
        arguments=facts.arguments,
    )


def _actors(facts: Facts) -> tuple[str, ...]:
    """Return who is set to work by somebody: the whole chain of a user, and of an agent all but its first."""
    everyone = (facts.agent, *facts.actors) if facts.agent else ()
    return everyone if facts.user is not None else everyone[:-1]
