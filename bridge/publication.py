"""Whether a policy may be published: valid, tested, approved where it must be, and without silent change (POL-05)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bridge.model import Resource
from bridge.model.policy import APPROVERS_NEEDED
from did_agent.errors import BadPolicy, StateConflict
from did_agent.policy.active import ActivePolicy
from did_agent.policy.cases import Difference, parse_cases, run_cases
from did_agent.policy.document import PolicyDocument
from did_agent.policy.lint import errors_in, lint
from did_agent.policy.rules import RuleLanguage

SHOWN: Final = 5  # problems an answer names


def tools_of(resources: Iterable[Resource]) -> Mapping[str, frozenset[str]]:
    """Return the tools of every resource that policy speaks of."""
    found = (one for one in resources if not one.built_in)
    return {one.id: frozenset(scope.removeprefix("tool:") for scope in one.scopes) for one in found}


def require_current(version: int, *, follows: int | None) -> None:
    """Return when a policy was written against what is in force; None does not say.

    Raises: StateConflict.
    """
    if follows not in (None, version):
        raise StateConflict(f"policy {version} is in force, not {follows}")


def require_sound(document: PolicyDocument, *, language: RuleLanguage, resources: Sequence[Resource]) -> None:
    """Return when nothing in the policy is unknown or unreadable.

    Raises: BadPolicy naming what is, PolicyUnavailable.
    """
    found = errors_in(lint(document, language=language, resources=tools_of(resources)))
    if found:
        raise BadPolicy("; ".join(f"{one.where}: {one.message}" for one in found[:SHOWN]))


def require_cases(policy: ActivePolicy, cases: Sequence[Any], *, now: datetime) -> None:
    """Return when every saved decision that comes with the policy holds.

    Raises: BadPolicy for cases that cannot be read, StateConflict naming those that do not hold.
    """
    _require_none(run_cases(policy, parse_cases(list(cases), now=now)), "saved decisions do not hold")


def require_no_change(policy: ActivePolicy, earlier: Sequence[Any], *, acknowledged: bool, now: datetime) -> None:
    """Return when every saved decision of the policy before still holds, or somebody said that it need not.

    Raises: StateConflict.
    """
    if not acknowledged:
        different = run_cases(policy, parse_cases(list(earlier), now=now))
        _require_none(different, "saved decisions of the version in force change; acknowledge it")


def holding(policy: ActivePolicy, cases: Sequence[Any], *, now: datetime) -> tuple[Any, ...]:
    """Return the saved decisions that hold: those whose change was acknowledged are not kept."""
    return tuple(case for case in cases if not run_cases(policy, parse_cases([case], now=now)))


def require_approval(
    document: PolicyDocument, approvers: Iterable[str], *, operators: frozenset[str]
) -> tuple[str, ...]:
    """Return who approved, when the policy lets an agent do what only its user may; then two operators must (WEB-04).

    Raises: StateConflict.
    """
    # Only who is an operator now counts: an approval does not outlive the trust in whoever gave it.
    counted = tuple(sorted(set(approvers) & operators))
    if not document.union_resources:
        return ()
    if len(counted) < APPROVERS_NEEDED:
        raise StateConflict(
            f"union at {', '.join(document.union_resources)} needs the approval of {APPROVERS_NEEDED} operators; "
            f"{len(counted)} approved {document.digest}"
        )
    return counted


def _require_none(different: Sequence[Difference], what: str) -> None:
    if different:
        said = "; ".join(f"{one.name}: expected {one.expected}, found {one.found}" for one in different[:SHOWN])
        raise StateConflict(f"{what}: {said}")
