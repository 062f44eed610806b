"""Rules beyond roles, behind a port: a language such as Cedar answers, this side only asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The facts rules decide from: structured and checked, never words of a model (POL-02)."""

    kind: Literal["user", "agent"]
    principal: str  # username, or the DID of an agent on its own
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    actors: tuple[str, ...] = ()  # DIDs, the one acting now first; the agent itself when it acts on its own
    client: str = ""
    resource: str
    now: datetime
    task: str | None = None
    risk: int | None = None
    arguments: Mapping[str, object] | None = None  # None where no call is being made: at issuing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the rules say of one tool."""

    allowed: bool
    rules: tuple[str, ...]  # that decided it; empty when none permits
    failed: bool = False  # whether one could not be evaluated, which is a no (POL-01)


class Rules(Protocol):
    """Compiled rules: pure, quick, and with an answer for every tool."""

    def judge(self, question: Question, tools: Sequence[str]) -> Mapping[str, Ruling]: ...


class RuleLanguage(Protocol):
    """What makes rules of text.

    `problems` validates against a schema made of the tools each resource has; `compile` raises BadPolicy for what is
    no text of the language, PolicyUnavailable when the language is not installed.
    """

    def problems(self, text: str, *, tools: frozenset[str] | None, arguments: Mapping[str, str]) -> list[str]: ...
    def compile(self, text: str) -> Rules: ...
