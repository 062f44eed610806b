"""What is wrong with a policy before anybody publishes it: unknown places, roles nobody has, rules that never hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from did_agent.policy.descoping import EVERY_TOOL
from did_agent.policy.document import PolicyDocument, Role
from did_agent.policy.rules import RuleLanguage

Level = Literal["error", "warning"]


class Finding(NamedTuple):
    """One thing that is wrong, and where."""

    level: Level
    where: str
    message: str


def lint(
    document: PolicyDocument,
    *,
    language: RuleLanguage,
    resources: Mapping[str, frozenset[str]] | None,
    groups: frozenset[str] | None = None,
) -> list[Finding]:
    """Return what is wrong; `resources` (with their tools) and `groups` are those that exist, None where not known.

    Raises: PolicyUnavailable when the language of the rules is not installed.
    """
    found = [*_roles(document.roles), *_guards(document), *_modes(document)]
    if resources is not None:
        found += _places(document, resources)
    if groups is not None:
        named = {group for role in document.roles for group in role.groups}
        named |= {group for one in document.guarded.values() for group in one.groups}
        found += [Finding("warning", f"groups.{name}", "nobody is in this group") for name in sorted(named - groups)]
    return [*found, *_rules(document, language, resources)]


def errors_in(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that forbid publishing."""
    return [finding for finding in findings if finding.level == "error"]


def _roles(roles: Iterable[Role]) -> Iterator[Finding]:
    for role in roles:
        if not role.groups and not role.users:
            yield Finding("warning", f"roles.{role.name}", "unreachable: neither a group nor a user has it")
        if not any(role.tools.values()):
            yield Finding("warning", f"roles.{role.name}", "gives nothing: it names no tool")


def _guards(document: PolicyDocument) -> Iterator[Finding]:
    for name, one in document.guarded.items():
        if not one.users and not one.groups and not one.agents:
            yield Finding("warning", f"agents.{name}", "nobody may have it act, not even through consent")


def _modes(document: PolicyDocument) -> Iterator[Finding]:
    given = {resource for role in document.roles for resource in role.tools}
    for name, rule in document.resources.items():
        if rule.mode == "agent_only" and not rule.autonomous:
            yield Finding("error", f"resources.{name}", "takes agents on their own alone, and takes none of them")
        if rule.mode == "agent_only" and name in given:
            yield Finding("warning", f"resources.{name}", "roles give rights here, but no user is let in")
        if rule.mode == "union":
            yield Finding("warning", f"resources.{name}", "agents may do what only their user may: two must approve it")


def _places(document: PolicyDocument, resources: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    for name in document.resources.keys() - resources.keys():
        yield Finding("error", f"resources.{name}", "unknown: no such resource is registered")
    served = {tool for tools in resources.values() for tool in tools} | {EVERY_TOOL}
    for descoping in document.descoping:
        # A mistyped tool would be taken from nobody.
        for tool in sorted((descoping.remove | descoping.after) - served):
            yield Finding("error", f"descoping.{descoping.name}", f"unknown tool {tool}")
    for role in document.roles:
        for resource, tools in role.tools.items():
            where = f"roles.{role.name}.tools"
            if resource not in resources:
                yield Finding("error", where, f"unknown resource {resource}")
                continue
            for tool in sorted(tools - resources[resource]):
                yield Finding("error", where, f"unknown tool {tool} at {resource}")


def _rules(
    document: PolicyDocument, language: RuleLanguage, resources: Mapping[str, frozenset[str]] | None
) -> list[Finding]:
    if not document.rules:
        return []
    tools = None if resources is None else frozenset(tool for held in resources.values() for tool in held)
    problems = language.problems(document.rules, tools=tools, arguments=document.arguments)
    return [Finding("error", "rules", problem) for problem in problems]
