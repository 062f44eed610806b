"""The policy document: roles, how rights combine per resource, who may trigger which agent, and rules in Cedar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from did_agent.credential import closed
from did_agent.credential.capability import parse_bare_capability, tool_scope
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadPolicy, Malformed
from did_agent.policy.combination import MODES, PolicyMode
from did_agent.policy.descoping import DescopingRule, parse_rules

MAX_ROLES: Final = 256  # also resources: the members of one strict JSON object
MAX_PROTECTED: Final = 1_000  # agents
MAX_HOLDERS: Final = 1_000  # users, groups or agents of one entry
MAX_NAME: Final = 256  # characters of a user, group, role or DID
MAX_RULES: Final = 65_536  # characters of Cedar
MAX_ARGUMENTS: Final = 64  # arguments that rules may speak of
EVERY_AGENT: Final = "*"  # the entry of all agents that have none of their own

ArgumentType = Literal["String", "Long", "Bool"]
ARGUMENT_TYPES: Final[tuple[ArgumentType, ...]] = ("String", "Long", "Bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who has it, and the tools it gives at each resource."""

    name: str
    groups: frozenset[str]
    users: frozenset[str]
    tools: Mapping[str, frozenset[str]]  # resource -> tools

    def scopes_at(self, resource: str) -> frozenset[str]:
        """Return the scopes the role gives at `resource`."""
        return frozenset(map(tool_scope, self.tools.get(resource, ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRule:
    """How rights combine at a resource, and whether it takes agents that act on their own."""

    mode: PolicyMode = "intersection"
    autonomous: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A protected agent: who may have it act for them, or hand on to it (DESIGN 4)."""

    agent: str  # DID, or EVERY_AGENT
    users: frozenset[str]
    groups: frozenset[str]
    agents: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """A whole policy, as it was written."""

    roles: tuple[Role, ...] = ()
    resources: Mapping[str, ResourceRule] = field(default_factory=dict)
    guarded: Mapping[str, Guarded] = field(default_factory=dict)  # by agent
    rules: str = ""  # Cedar
    arguments: Mapping[str, ArgumentType] = field(default_factory=dict)  # of tools, as rules read them
    descoping: tuple[DescopingRule, ...] = ()  # that take rights away while agents run

    def to_json(self) -> dict[str, object]:
        """Return the wire object; equal policies have equal ones."""
        roles = {
            role.name: {
                "groups": sorted(role.groups),
                "users": sorted(role.users),
                "tools": {resource: sorted(tools) for resource, tools in role.tools.items()},
            }
            for role in self.roles
        }
        resources = {name: {"mode": rule.mode, "autonomous": rule.autonomous} for name, rule in self.resources.items()}
        agents = [
            {
                "agent": name,
                "users": sorted(one.users),
                "groups": sorted(one.groups),
                "agents": sorted(one.agents),
            }
            for name, one in sorted(self.guarded.items())
        ]
        found: dict[str, object] = {
            "roles": roles,
            "resources": resources,
            "agents": agents,
            "rules": self.rules,
            "arguments": dict(self.arguments),
        }
        if self.descoping:  # left out otherwise: policies from before keep their digest
            found["descoping"] = [rule.to_json() for rule in sorted(self.descoping, key=lambda rule: rule.name)]
        return found

    @property
    def digest(self) -> str:
        """The digest that names this policy wherever it is approved, published or recorded."""
        return digest_uri(canonicalize(self.to_json()))

    @property
    def union_resources(self) -> tuple[str, ...]:
        """The resources at which an agent may do what only its user may: for two people to approve."""
        return tuple(sorted(name for name, rule in self.resources.items() if rule.mode == "union"))


def parse_policy(value: object) -> PolicyDocument:
    """Return the policy a JSON object states; what is not known here is refused, never skipped.

    Raises: BadPolicy naming the place.
    """
    names = frozenset({"roles", "resources", "agents", "rules", "arguments", "descoping"})
    top = closed.members(value, "the policy", required=frozenset(), optional=names, error=BadPolicy)
    guarded = [_guarded(item) for item in _array(top.get("agents", []), "agents", most=MAX_PROTECTED)]
    if len({one.agent for one in guarded}) != len(guarded):
        raise BadPolicy("agents: an agent has two entries")
    rules = top.get("rules", "")
    if not isinstance(rules, str) or len(rules) > MAX_RULES:
        raise BadPolicy(f"rules is not a string of at most {MAX_RULES} characters")
    return PolicyDocument(
        roles=tuple(_role(name, item) for name, item in sorted(_object(top.get("roles", {}), "roles").items())),
        resources={
            closed.uri(name, "resources", error=BadPolicy): _resource_rule(name, item)
            for name, item in sorted(_object(top.get("resources", {}), "resources").items())
        },
        guarded={one.agent: one for one in guarded},
        rules=rules,
        arguments=_arguments(top.get("arguments", {})),
        descoping=parse_rules(top.get("descoping", [])),
    )


def _role(name: str, value: object) -> Role:
    where = f"roles.{_name(name, 'a role')}"
    members = frozenset({"groups", "users", "tools"})
    entry = closed.members(value, where, required=frozenset(), optional=members, error=BadPolicy)
    tools = {
        resource: _tools(resource, listed, where)
        for resource, listed in sorted(_object(entry.get("tools", {}), f"{where}.tools").items())
    }
    return Role(name=name, groups=_names(entry, "groups", where), users=_names(entry, "users", where), tools=tools)


def _tools(resource: str, listed: object, where: str) -> frozenset[str]:
    names = [str(name) for name in _array(listed, f"{where}.tools", most=MAX_HOLDERS)]
    try:
        # What no credential could name, no token could ever carry.
        parse_bare_capability({"resource": [resource], "tools": {name: {} for name in names}})
    except Malformed as error:
        raise BadPolicy(f"{where}.tools: {error.detail}") from error
    return frozenset(names)


def _resource_rule(name: str, value: object) -> ResourceRule:
    where = f"resources.{name[:80]}"
    members = frozenset({"mode", "autonomous"})
    entry = closed.members(value, where, required=frozenset(), optional=members, error=BadPolicy)
    mode, autonomous = entry.get("mode", "intersection"), entry.get("autonomous", True)
    if mode not in MODES or not isinstance(autonomous, bool):
        raise BadPolicy(f"{where}: mode is one of {', '.join(MODES)}, and autonomous is true or false")
    return ResourceRule(mode=mode, autonomous=autonomous)


def _guarded(value: object) -> Guarded:
    members = frozenset({"users", "groups", "agents"})
    entry = closed.members(value, "agents", required=frozenset({"agent"}), optional=members, error=BadPolicy)
    agent = _name(entry["agent"], "agents.agent")
    if agent != EVERY_AGENT and not agent.startswith("did:"):
        raise BadPolicy(f"agents: {agent[:80]} is no DID")
    where = f"agents.{agent}"
    return Guarded(
        agent=agent,
        users=_names(entry, "users", where),
        groups=_names(entry, "groups", where),
        agents=_names(entry, "agents", where),
    )


def _arguments(value: object) -> Mapping[str, ArgumentType]:
    found = _object(value, "arguments")
    if len(found) > MAX_ARGUMENTS or not all(name.isidentifier() and name.isascii() for name in found):
        raise BadPolicy(f"arguments has more than {MAX_ARGUMENTS} names, or one that rules cannot write")
    if not all(kind in ARGUMENT_TYPES for kind in found.values()):
        raise BadPolicy(f"arguments: a type is one of {', '.join(ARGUMENT_TYPES)}")
    return {name: cast("ArgumentType", kind) for name, kind in sorted(found.items())}


def _names(entry: Mapping[str, object], member: str, where: str) -> frozenset[str]:
    listed = _array(entry.get(member, []), f"{where}.{member}", most=MAX_HOLDERS)
    return frozenset(_name(item, f"{where}.{member}") for item in listed)


def _name(value: object, where: str) -> str:
    name = closed.text(value, where, max_chars=MAX_NAME, error=BadPolicy)
    if not name.isprintable():
        raise BadPolicy(f"{where} has invisible characters")
    return name


def _array(value: object, where: str, *, most: int) -> list[object]:
    return list(closed.array(value, where, most=most, error=BadPolicy))


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or len(value) > MAX_ROLES:
        raise BadPolicy(f"{where} is not an object of at most {MAX_ROLES} members")
    return value
