"""Recorded decisions, decided again under another policy: what would change, before it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from did_agent.errors import BadPolicy
from did_agent.policy.active import ActivePolicy
from did_agent.policy.cases import summary
from did_agent.policy.evaluation import evaluate
from did_agent.policy.facts import read_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A recorded decision that would come out otherwise."""

    event: str
    time: str
    principal: str
    resource: str
    was: str
    becomes: str
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What replaying found."""

    replayed: int
    skipped: int  # events that are no such decision, or do not carry all facts that the rules look at
    changes: tuple[Change, ...]


def replay(policy: ActivePolicy, events: Iterable[Mapping[str, Any]]) -> Replay:
    """Return what `policy` would have decided otherwise than was recorded."""
    replayed = skipped = 0
    changes: list[Change] = []
    for event in events:
        details = event.get("details") or {}
        try:
            facts = read_recorded(str(details["facts"]))
        except (KeyError, BadPolicy):
            skipped += 1
            continue
        if facts.arguments_held_back and policy.reads_arguments:
            skipped += 1  # what the rules would look at was never recorded
            continue
        replayed += 1
        was, found = _was(event, details), evaluate(policy, facts)
        becomes = summary(found)
        if _same(was, becomes):
            continue
        changes.append(
            Change(
                event=str(event.get("id")),
                time=str(event.get("time")),
                principal=str(event.get("principal") or facts.user or facts.agent),
                resource=facts.resource,
                was=was,
                becomes=becomes,
                explanation=found.explanation,
            )
        )
    return Replay(replayed=replayed, skipped=skipped, changes=tuple(changes))


def _was(event: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    if event.get("decision") != "allow":
        return f"deny ({event.get('reason')})"
    granted = sorted(str(details.get("scope", "")).split())
    return f"allow {' '.join(scope.removeprefix('tool:') for scope in granted)}"


def _same(was: str, becomes: str) -> bool:
    # A refusal stays a refusal, whichever check comes first in it.
    return was == becomes or (was.startswith("deny") and becomes.startswith("deny"))
