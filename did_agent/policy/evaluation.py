"""The whole decision from facts alone: what saved decisions, replays and AuthZEN questions are answered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from did_agent.errors import ActorUnauthorized, EmptyGrant
from did_agent.policy.active import ActivePolicy, Subject, refusals
from did_agent.policy.combination import PolicyMode, Terms, answers, combine, explain
from did_agent.policy.facts import Facts
from did_agent.policy.rules import Question

ALLOWED: Final = "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer and everything that explains it."""

    granted: frozenset[str]  # scopes; empty: no
    reason: str  # stable code
    explanation: str
    answers: Mapping[str, str]  # may the user, may the agent: both, whichever decided
    mode: PolicyMode
    policy: str  # mode and version
    digest: str
    rules: tuple[str, ...] = field(default=())  # that mattered

    @property
    def allowed(self) -> bool:
        """Tell whether anything was granted."""
        return bool(self.granted)


def evaluate(policy: ActivePolicy, facts: Facts) -> Evaluation:
    """Return what `policy` makes of `facts`; there is always an answer, and it always has its reasons."""
    subject, terms = subject_of(facts), terms_of(policy, facts)
    rule = policy.at(facts.resource)
    said = answers(terms)
    mode: PolicyMode = rule.mode if facts.user is not None else "agent_only"
    try:
        policy.require_triggers(subject, _actors(facts))
        combined = combine(rule.mode, terms, autonomous=rule.autonomous)
        mode = combined.mode
        ruled = policy.after_rules(question_of(facts), combined.granted)
    except (ActorUnauthorized, EmptyGrant) as error:
        facts_said = error.facts if isinstance(error, EmptyGrant) else {}
        more = f" ({facts_said['rules']})" if "rules" in facts_said else ""
        return Evaluation(
            granted=frozenset(),
            reason=error.code,
            explanation=f"{error.detail}{more}; {explain(terms)}",
            answers=said,
            mode=mode,
            policy=policy.label(mode),
            digest=policy.digest,
        )
    left_out = f"; refused by rules: {refusals(ruled.refused)}" if ruled.refused else ""
    return Evaluation(
        granted=ruled.scopes,
        reason=ALLOWED,
        explanation=explain(terms) + left_out,
        answers=said,
        mode=mode,
        policy=policy.label(mode),
        digest=policy.digest,
        rules=ruled.rules,
    )


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
