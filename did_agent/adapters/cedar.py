"""Rules in Cedar, evaluated in process by cedarpy (an optional library).

Measured with cedarpy 4.12: a `forbid` whose condition fails to evaluate is skipped and the answer is Allow.  Here any
evaluation error is a no (POL-01).  Rules are validated with a schema when they are published and parsed once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from did_agent.errors import BadPolicy, PolicyUnavailable
from did_agent.policy.rules import Question, Rules, Ruling

if TYPE_CHECKING:
    import cedarpy

_CONTEXT: Final = """
entity Group;
entity Role;
entity User in [Group, Role];
entity Agent;
entity Resource;
type Context = {
  agent?: Agent, actors: Set<Agent>, client: String, time: datetime, hour: Long, weekday: Long,
  task?: String, risk?: Long, arguments?: { %s }
};
"""
_APPLIES: Final = "appliesTo { principal: [User, Agent], resource: Resource, context: Context };"
_ANY_TOOL: Final = "a tool of a registered resource"


class Cedar:
    """The rule language; implements `did_agent.policy.rules.RuleLanguage`."""

    def problems(self, text: str, *, tools: frozenset[str] | None, arguments: Mapping[str, str]) -> list[str]:
        """Return what Cedar's validator finds; with `tools` None any tool may be named.

        Raises: PolicyUnavailable.
        """
        library = _library()
        try:
            library.PolicySet.from_str(text)
        except ValueError as error:
            return [_one_line(str(error))]
        found = library.validate_policies(text, _schema(tools, arguments)).errors if tools is not None else ()
        problems = [_one_line(problem.error) for problem in found]
        if not problems and "permit" not in {one.effect for one in _templates(library, text)}:
            problems.append("no rule permits anything, so nothing would be allowed")
        return problems

    def compile(self, text: str) -> Rules:
        """Return the rules, parsed once.

        Raises: BadPolicy, PolicyUnavailable.
        """
        library = _library()
        try:
            return CedarRules(library.PolicySet.from_str(text))
        except ValueError as error:
            raise BadPolicy(f"rules: {_one_line(str(error))}") from error


class CedarRules:
    """Parsed rules; implements `did_agent.policy.rules.Rules`."""

    def __init__(self, policies: cedarpy.PolicySet) -> None:
        self._policies = policies

    def judge(self, question: Question, tools: Sequence[str]) -> Mapping[str, Ruling]:
        """Return the ruling on each tool; whatever cannot be evaluated is refused."""
        principal = {"type": "User" if question.kind == "user" else "Agent", "id": question.principal}
        try:
            context = json.dumps(_context(question))  # once for all tools
            asked = [
                {
                    "principal": principal,
                    "action": {"type": "Action", "id": tool},
                    "resource": {"type": "Resource", "id": question.resource},
                    "context": context,
                }
                for tool in tools
            ]
            answers = _library().is_authorized_batch(asked, self._policies, _entities(principal, question))
        except (ValueError, TypeError):
            return {tool: Ruling(allowed=False, rules=(), failed=True) for tool in tools}
        return {tool: _ruling(answer) for tool, answer in zip(tools, answers, strict=True)}


def _ruling(answer: cedarpy.AuthzResult) -> Ruling:
    said = answer.diagnostics
    names = said.id_annotations_by_reason
    rules = tuple(sorted(names.get(reason) or reason for reason in said.reasons))
    failed = bool(said.errors)
    return Ruling(allowed=answer.allowed and not failed, rules=rules, failed=failed)


def _context(question: Question) -> dict[str, Any]:
    at = question.now.astimezone(UTC)
    actors = [_entity("Agent", actor) for actor in question.actors]
    found: dict[str, Any] = {
        "actors": actors,
        "client": question.client,
        "time": {"__extn": {"fn": "datetime", "arg": f"{at:%Y-%m-%dT%H:%M:%SZ}"}},
        "hour": at.hour,
        "weekday": at.isoweekday(),
        "task": question.task,
        "risk": question.risk,
        "arguments": None if question.arguments is None else _arguments(question.arguments),
    }
    if actors:
        found["agent"] = actors[0]
    return {name: value for name, value in found.items() if value is not None}


def _arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    # Only plain values reach the rules; an object could spell an entity or an extension value.
    return {name: value for name, value in arguments.items() if isinstance(value, str | int)}


def _entities(principal: Mapping[str, str], question: Question) -> list[dict[str, Any]]:
    parents = [{"type": "Group", "id": name} for name in sorted(question.groups)]
    parents += [{"type": "Role", "id": name} for name in sorted(question.roles)]
    return [{"uid": principal, "attrs": {}, "parents": parents}] if parents else []


def _entity(kind: str, name: str) -> dict[str, object]:
    return {"__entity": {"type": kind, "id": name}}


def _schema(tools: frozenset[str], arguments: Mapping[str, str]) -> str:
    typed = ", ".join(f"{name}?: {kind}" for name, kind in sorted(arguments.items()))
    actions = ", ".join(json.dumps(tool) for tool in sorted(tools) or [_ANY_TOOL])
    return f"{_CONTEXT % typed}action {actions} {_APPLIES}"


def _templates(library: Any, text: str) -> list[Any]:
    return list(library.policies_to_pst(text).static_policies.values())


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _library() -> Any:
    try:
        import cedarpy
    except ImportError as error:
        raise PolicyUnavailable("the policy has rules, but cedarpy is not installed") from error
    return cedarpy
