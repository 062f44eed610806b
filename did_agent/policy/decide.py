"""The decision on a call: may the user, may the agent, was it granted, and what the policy in force makes of that.

Pure, and never without its explanation.  The law is the one tokens are issued by (`did_agent.policy.evaluation`), asked
about one call with its arguments: modes, protected agents and rules only take away from what was shown (POL-03).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from did_agent.clock import format_milliseconds
from did_agent.credential.capability import Capability, tool_scope
from did_agent.policy.active import NO_POLICY, ActivePolicy
from did_agent.policy.call_facts import facts_of_call
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.combination import PolicyMode
from did_agent.policy.evaluation import ALLOWED, Evaluation, details_of, evaluate
from did_agent.policy.facts import Facts

TermName = Literal["user", "agent", "scope"]

_TIMELESS: Final = datetime.fromtimestamp(0, UTC)  # for policies without rules, which look at no time
_Coverage = Literal["unnamed", "uncovered", "uncounted", "covered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked for."""

    resource: str
    tool: str
    arguments: Mapping[str, object]


class Term(NamedTuple):
    """One partial answer."""

    name: TermName
    allowed: bool
    reason: str  # code when not allowed
    why: str  # half a sentence for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Policy's answer, with both partial answers whichever of them decided."""

    allowed: bool
    reason: str
    explanation: str
    terms: tuple[Term, ...]
    mode: PolicyMode
    policy: str  # mode and version, as audit events carry them
    digest: str  # of the policy
    rules: tuple[str, ...] = ()  # that mattered
    covering: tuple[Capability, ...] = ()  # that cover the call, those without limits first; empty when refused
    evaluation: Evaluation = field(compare=False, repr=False)
    facts: Facts = field(compare=False, repr=False)  # without the arguments
    told: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # the details once worked out
    around: list[str] = field(default_factory=list, compare=False, repr=False)  # of the facts in them: beside the time

    def details(self, now: datetime) -> dict[str, str]:
        """Return what an audit event says beside: both answers, the policy, its rules, and the facts to replay it."""
        if self.evaluation.allowed != self.allowed:
            return {"policy_digest": self.digest}  # something else refused what policy allows: no replay would
        if not self.told:
            self.told.update(details_of(self.evaluation, self.facts))
            # Facts are the same from call to call but for the time; quotes inside of values are escaped.
            before, time, after = self.told.get("facts", "").partition(
                f'"time":"{format_milliseconds(self.facts.time)}"'
            )
            self.around[:] = (f'{before}"time":"', f'"{after}') if time else ()
        if not self.around:
            return dict(self.told)  # they are too many
        return {**self.told, "facts": format_milliseconds(now).join(self.around)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What is known of a caller and a tool before arguments are looked at."""

    policy: ActivePolicy
    naming: tuple[Capability, ...]  # those without limits first
    answers: dict[_Coverage, Decision] = field(default_factory=dict)  # of a policy without rules


def decide(  # what is asked, and what it is decided by
    caller: VerifiedCaller,
    call: Call,
    *,
    policy: ActivePolicy = NO_POLICY,
    now: datetime | None = None,
    risk: int | None = None,
    limits_are_counted: bool = False,
) -> Decision:
    """Return whether `caller` may make `call` under the policy in force, and why.

    Rules look at the time: a policy that has any needs `now`.  Unless `limits_are_counted` by whoever asks, a
    capability that has some covers nothing: a ceiling nobody counts is no ceiling.
    """
    standing = _standing(caller, call.resource, call.tool, policy)
    naming = standing.naming
    covering = tuple([held for held in naming if held.covers(call.tool, call.arguments)])
    usable = covering if limits_are_counted else tuple([held for held in covering if held.limits is None])
    coverage: _Coverage = "covered" if usable else "uncounted" if covering else "uncovered" if naming else "unnamed"
    if policy.rules is not None or risk is not None:
        return _decision(caller, call, policy, coverage, usable, now=now, risk=risk)
    found = standing.answers.get(coverage)
    if found is None:
        found = _decision(caller, call, policy, coverage, usable, now=None, risk=None)
        standing.answers[coverage] = found
    # Which capabilities cover depends on the arguments; nothing else does without rules.
    return found if not found.allowed or found.covering == usable else replace(found, covering=usable)


def visible_tools(
    caller: VerifiedCaller, *, resource: str, policy: ActivePolicy = NO_POLICY, now: datetime | None = None
) -> frozenset[str]:
    """Return the tools that a list should show to `caller`: those of which some call could be allowed.

    Rules that look at arguments may allow one call and refuse the next, so where there are such rules they hide
    nothing; the call itself is decided by all of them.
    """
    named = {tool for held in caller.capabilities if resource in held.resources for tool in held.tools}
    scopes = frozenset(map(tool_scope, named)) & caller.scopes
    facts = facts_of_call(
        policy, caller, resource=resource, asked=scopes, held=scopes, now=_time(policy, now), risk=None, arguments=None
    )
    applied = replace(policy, rules=None) if policy.reads_arguments else policy
    granted = evaluate(applied, facts).granted
    return frozenset(tool for tool in named if tool_scope(tool) in granted)


def short_did(identifier: str) -> str:
    """Return a DID in the short form people can compare; other identifiers as they are."""
    return f"{identifier[:13]}…{identifier[-4:]}" if identifier.startswith("did:") else identifier


def _standing(caller: VerifiedCaller, resource: str, tool: str, policy: ActivePolicy) -> _Standing:
    known: _Standing | None = caller.memo.get((resource, tool))
    if known is not None and known.policy is policy:
        return known
    naming = [held for held in caller.capabilities if resource in held.resources and tool in held.tools]
    found = _Standing(policy=policy, naming=tuple(sorted(naming, key=lambda held: held.limits is not None)))
    if naming:  # of names that nobody gave there is no end
        caller.memo[resource, tool] = found
    return found


def _decision(
    caller: VerifiedCaller,
    call: Call,
    policy: ActivePolicy,
    coverage: _Coverage,
    usable: tuple[Capability, ...],
    *,
    now: datetime | None,
    risk: int | None,
) -> Decision:
    scope = tool_scope(call.tool)
    asked = frozenset((scope,))
    facts = facts_of_call(
        policy,
        caller,
        resource=call.resource,
        asked=asked,
        held=asked if coverage == "covered" else frozenset(),
        now=_time(policy, now),
        risk=risk,
        arguments=None if policy.rules is None else call.arguments,
    )
    evaluation = evaluate(policy, facts)
    user = evaluation.terms.user
    terms = [_agent_term(caller, call.tool, coverage)]
    if user is not None:
        terms.append(_user_term(caller, is_entitled=scope in user))
    terms.append(_scope_term(caller, scope))
    said = [term.why for term in terms]
    if evaluation.refused_at not in (None, "terms"):
        said.append(f"policy: {evaluation.detail}")
    return Decision(
        allowed=evaluation.allowed,
        reason=_reason(evaluation, terms),
        explanation="; ".join(said),
        terms=tuple(terms),
        mode=evaluation.mode,
        policy=evaluation.policy,
        digest=evaluation.digest,
        rules=evaluation.rules,
        covering=usable if evaluation.allowed else (),
        evaluation=evaluation,
        # Values of arguments are neither recorded nor kept.
        facts=facts if facts.arguments is None else replace(facts, arguments=None),
    )


def _reason(evaluation: Evaluation, terms: list[Term]) -> str:
    if evaluation.allowed:
        return ALLOWED
    if evaluation.refused_at == "mode":
        return "mode_refused"
    if evaluation.refused_at == "rules":
        return "rule_failed" if evaluation.failed else "refused_by_rules"
    if evaluation.refused_at == "terms":
        counted = [term for term in terms if evaluation.mode != "union" or term.name != "user"]
        return next((term.reason for term in counted if not term.allowed), evaluation.reason)
    return evaluation.reason


def _agent_term(caller: VerifiedCaller, tool: str, coverage: _Coverage) -> Term:
    is_program = caller.principal.kind == "user" and not caller.actors  # a user at a program, without an agent
    who = f"the application {caller.client_id}" if is_program else f"the agent {short_did(caller.agent)}"
    if coverage == "covered":
        return Term(name="agent", allowed=True, reason=ALLOWED, why=f"{who} may call {tool}")
    reason, why = {
        "unnamed": ("agent_not_capable", f"{who} may not call {tool}: no capability covers it"),
        "uncovered": ("arguments_refused", f"{who} may call {tool}, but not with these arguments"),
        "uncounted": (
            "limit_not_enforceable",
            f"{who} may call {tool} only within limits, which cannot be counted here",
        ),
    }[coverage]
    return _no("agent", reason, why)


def _user_term(caller: VerifiedCaller, *, is_entitled: bool) -> Term:
    who = f"user {caller.principal.id}"
    if not is_entitled:
        return _no("user", "user_not_entitled", f"{who} may not")
    return Term(name="user", allowed=True, reason=ALLOWED, why=f"{who} may")


def _scope_term(caller: VerifiedCaller, scope: str) -> Term:
    if scope not in caller.scopes:
        return _no("scope", "scope_not_granted", f"{scope} was not granted")
    return Term(name="scope", allowed=True, reason=ALLOWED, why=f"{scope} was granted")


def _no(name: TermName, reason: str, why: str) -> Term:
    return Term(name=name, allowed=False, reason=reason, why=why)


def _time(policy: ActivePolicy, now: datetime | None) -> datetime:
    if now is None and policy.rules is not None:
        raise ValueError("rules look at the time, and none was given")
    return now or _TIMELESS
