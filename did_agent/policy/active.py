"""A policy in force: one version, compiled once, answering for every request until the next is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from did_agent.credential.capability import tool_scope
from did_agent.errors import ActorUnauthorized, EmptyGrant
from did_agent.policy.combination import PolicyMode
from did_agent.policy.document import EVERY_AGENT, ArgumentType, PolicyDocument, ResourceRule, Role
from did_agent.policy.rules import Question, Rules, Ruling

_TOOL: Final = tool_scope("")
_PLAIN: Final = ResourceRule()
_KINDS: Final[Mapping[ArgumentType, type]] = {"String": str, "Long": int, "Bool": bool}
_NONE: Final = frozenset[str]()
NOTHING_LEFT: Final = "nothing is left after the rules of the policy"


class Subject(NamedTuple):
    """On whose behalf, as policy sees them: a user with their groups, or an agent."""

    id: str
    is_user: bool
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """What the rules left, and which of them mattered."""

    scopes: frozenset[str]
    rules: tuple[str, ...] = ()
    refused: Mapping[str, Ruling] = field(default_factory=dict)  # by tool

    @property
    def failed(self) -> bool:
        """Tell whether a rule could not be evaluated."""
        return any(ruling.failed for ruling in self.refused.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePolicy:
    """What is in force."""

    version: int
    digest: str
    document: PolicyDocument
    rules: Rules | None = None
    issuer: str | None = None  # whose people it names: somebody else's "smith" has no part in it; None: all are ours
    reads_arguments: bool = False  # whether rules look at the arguments of a call
    roles_of_users: Mapping[str, tuple[Role, ...]] = field(default_factory=dict, repr=False)
    roles_of_groups: Mapping[str, tuple[Role, ...]] = field(default_factory=dict, repr=False)

    def label(self, mode: PolicyMode) -> str:
        """Return mode and version, as audit events carry them (POL-04)."""
        return f"{mode}/{self.version}"

    def at(self, resource: str) -> ResourceRule:
        """Return how rights combine at `resource`."""
        return self.document.resources.get(resource, _PLAIN)

    def roles(self, subject: Subject) -> tuple[Role, ...]:
        """Return the roles of a user; an agent has none."""
        if not subject.is_user:
            return ()
        found = [*self.roles_of_users.get(subject.id, ())]
        for group in sorted(subject.groups):
            found += self.roles_of_groups.get(group, ())
        return tuple({role.name: role for role in found}.values()) if found else ()

    def role_scopes(self, subject: Subject, resource: str) -> frozenset[str]:
        """Return what the roles of `subject` give at `resource`."""
        roles = self.roles(subject) if self.document.roles else ()
        return frozenset([scope for role in roles for scope in role.scopes_at(resource)]) if roles else _NONE

    def require_triggers(self, subject: Subject, actors: tuple[str, ...]) -> None:
        """Return when every agent of the chain may be set to work by whoever did: the one before it, or the subject.

        Raises: ActorUnauthorized naming the agent.
        """
        for place, agent in enumerate(actors if self.document.guarded else ()):
            by = Subject(actors[place + 1], is_user=False) if place + 1 < len(actors) else subject
            if not self._may_trigger(agent, by):
                raise ActorUnauthorized(f"{agent} is protected: policy does not let {by.id[:128]} have it act")

    def _may_trigger(self, agent: str, by: Subject) -> bool:
        guard = self.document.guarded.get(agent) or self.document.guarded.get(EVERY_AGENT)
        if guard is None:
            return True
        if by.is_user:
            return by.id in guard.users or bool(by.groups & guard.groups)
        return by.id in guard.agents

    def after_rules(self, question: Question, scopes: frozenset[str]) -> Ruled:
        """Return what the rules leave of `scopes`; they only ever take away (POL-03).

        Raises: EmptyGrant when they leave nothing.
        """
        ruled = self.ruled(question, scopes)
        if not ruled.scopes:
            raise EmptyGrant(NOTHING_LEFT, facts=_facts(ruled.refused))
        return ruled

    def ruled(self, question: Question, scopes: frozenset[str]) -> Ruled:
        """Return what the rules leave of `scopes`, which may be nothing."""
        if self.rules is None:
            return Ruled(scopes=scopes)
        tools = sorted(scope.removeprefix(_TOOL) for scope in scopes if scope.startswith(_TOOL))
        whole = replace(question, roles=frozenset(role.name for role in self.roles(_subject(question))))
        readable = None if question.arguments is None else _readable(question.arguments, self.document.arguments)
        said: Mapping[str, Ruling]
        if readable is None and question.arguments is not None:
            said = {tool: Ruling(allowed=False, rules=(), failed=True) for tool in tools}
        else:
            said = self.rules.judge(replace(whole, arguments=readable), tools)
        # What is no tool is nothing a rule can permit, and what was not answered was not permitted.
        left = frozenset(tool_scope(tool) for tool in tools if tool in said and said[tool].allowed)
        mattered = tuple(sorted({name for ruling in said.values() for name in ruling.rules}))
        refused = {tool: ruling for tool, ruling in said.items() if not ruling.allowed}
        return Ruled(scopes=left, rules=mattered, refused=refused)


def activate(
    document: PolicyDocument, *, version: int, rules: Rules | None = None, issuer: str | None = None
) -> ActivePolicy:
    """Return a policy ready to answer."""
    return ActivePolicy(
        version=version,
        digest=document.digest,
        document=document,
        rules=rules,
        issuer=issuer,
        reads_arguments="arguments" in document.rules,
        roles_of_users=_index(document.roles, lambda role: role.users),
        roles_of_groups=_index(document.roles, lambda role: role.groups),
    )


def refusals(refused: Mapping[str, Ruling]) -> str:
    """Return in words which rule refused which tool."""
    said = []
    for tool, ruling in sorted(refused.items()):
        why = ", ".join(ruling.rules) or "no rule permits it"
        said.append(f"{tool}: {'a rule could not be evaluated' if ruling.failed else why}")
    return "; ".join(said)


def _readable(arguments: Mapping[str, object], declared: Mapping[str, ArgumentType]) -> Mapping[str, object] | None:
    """Return arguments as rules can read them; None when one does not have the type that rules expect.

    Left out, 20.5 or [20] would pass every rule that first asks whether the argument is there (POL-01).
    """
    found = {name: value for name, value in arguments.items() if value is not None}
    for name in found.keys() & declared.keys():
        value = found[name]
        if isinstance(value, float) and value.is_integer():
            found[name] = value = int(value)  # 20.0 and 20 are the same number in JSON
        if type(value) is not _KINDS[declared[name]]:
            return None
    return found


def _facts(refused: Mapping[str, Ruling]) -> dict[str, str]:
    return {"rules": refusals(refused)[:1_000]}


def _subject(question: Question) -> Subject:
    return Subject(question.principal, is_user=question.kind == "user", groups=question.groups)


def _index(roles: Iterable[Role], holders: Callable[[Role], frozenset[str]]) -> dict[str, tuple[Role, ...]]:
    found: dict[str, tuple[Role, ...]] = {}
    for role in roles:
        for name in holders(role):
            found[name] = (*found.get(name, ()), role)
    return found


NO_POLICY: Final = activate(PolicyDocument(), version=0)  # until the first is published: rights meet, agents are open
