"""Saved decisions: what a policy must go on deciding, run before every publication (POL-05)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.credential import closed
from did_agent.credential.capability import tool_scope
from did_agent.errors import BadPolicy
from did_agent.policy.active import ActivePolicy
from did_agent.policy.evaluation import Evaluation, evaluate
from did_agent.policy.facts import Facts, parse_facts

MAX_CASES: Final = 500
_TOOL: Final = tool_scope("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come of it; None leaves open."""

    decision: str  # allow or deny
    tools: frozenset[str] | None = None  # exactly these are granted
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One saved decision."""

    name: str
    facts: Facts
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A case that came out otherwise."""

    name: str
    expected: str
    found: str
    explanation: str


def parse_cases(value: object, *, now: datetime) -> tuple[Case, ...]:
    """Return the cases a JSON array states; without a time of its own a case plays now.

    Raises: BadPolicy.
    """
    listed = closed.array(value, "cases", most=MAX_CASES, error=BadPolicy)
    cases = tuple(_case(item, now) for item in listed)
    if len({case.name for case in cases}) != len(cases):
        raise BadPolicy("cases: two have the same name")
    return cases


def run_cases(policy: ActivePolicy, cases: Sequence[Case]) -> list[Difference]:
    """Return the cases that come out otherwise than they say."""
    found = ((case, evaluate(policy, case.facts)) for case in cases)
    return [_difference(case, got) for case, got in found if not _fits(case.expected, got)]


def summary(evaluation: Evaluation) -> str:
    """Return an outcome in few words."""
    if not evaluation.allowed:
        return f"deny ({evaluation.reason})"
    return f"allow {' '.join(sorted(_names(evaluation)))}"


def _names(evaluation: Evaluation) -> frozenset[str]:
    return frozenset(scope.removeprefix(_TOOL) for scope in evaluation.granted)


def _fits(expected: Expected, got: Evaluation) -> bool:
    if got.allowed != (expected.decision == "allow"):
        return False
    return expected.reason in (None, got.reason) and expected.tools in (None, _names(got))


def _difference(case: Case, got: Evaluation) -> Difference:
    wanted = case.expected
    words = [wanted.decision, *sorted(wanted.tools or ())]
    words += [f"({wanted.reason})"] if wanted.reason else []
    return Difference(name=case.name, expected=" ".join(words), found=summary(got), explanation=got.explanation)


def _case(value: object, now: datetime) -> Case:
    entry = closed.members(value, "case", required=frozenset({"name", "facts", "expect"}), error=BadPolicy)
    return Case(
        name=closed.text(entry["name"], "case name", max_chars=200, error=BadPolicy),
        facts=parse_facts(entry["facts"], default_time=now),
        expected=_expected(entry["expect"]),
    )


def _expected(value: object) -> Expected:
    if isinstance(value, str):
        value = {"decision": value}
    optional = frozenset({"tools", "reason"})
    entry = closed.members(value, "expect", required=frozenset({"decision"}), optional=optional, error=BadPolicy)
    decision, reason = entry["decision"], entry.get("reason")
    if decision not in ("allow", "deny") or not isinstance(reason, str | None):
        raise BadPolicy("expect: decision is allow or deny, and reason is a code")
    tools = None if "tools" not in entry else frozenset(_tools(entry))
    return Expected(decision=str(decision), tools=tools, reason=reason)


def _tools(entry: Mapping[str, object]) -> list[str]:
    listed = closed.array(entry["tools"], "expect: tools", most=1_000, error=BadPolicy)
    return [closed.text(item, "expect: tools", error=BadPolicy) for item in listed]
