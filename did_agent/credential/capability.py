"""What an agent may do: capabilities of a credential and their twins in RFC 9396 `authorization_details`.

A call must be covered by one capability entirely, and a delegated capability by one of its parent's: entries are
never mixed.  A tool with a non-empty argument map admits exactly the named arguments (closed world).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from did_agent.credential import closed
from did_agent.credential.constraint import Constraint, is_satisfied, parse_constraint, subsumes
from did_agent.credential.limits import Account, Limits, parse_accounts, parse_limits
from did_agent.errors import BadCredential

MAX_CAPABILITIES: Final = 16  # entries in one credential
MAX_RESOURCES: Final = 16  # resources of one entry
MAX_TOOLS: Final = 64  # tools of one entry
MAX_ARGUMENTS: Final = 64  # constrained arguments of one tool
MAX_ARGUMENT_NAME: Final = 128  # characters
DETAIL_TYPE: Final = "attenuating_agent_token"
ENTRY_TYPE: Final = "AgentCapability"

# A tool name becomes a scope token (RFC 6749, 3.3), so it must not hold a space; `*` would look like a wildcard.
_TOOL: Final = re.compile(r"[!#-)+-\[\]-~]{1,128}")

Tools = Mapping[str, Mapping[str, Constraint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One grant: these tools, with these arguments, at these resources."""

    resources: tuple[str, ...]
    tools: Tools = field(hash=False)
    limits: Limits | None = None
    # Where its calls are counted: its own entry first, then that of each credential above it; known once verified.
    accounts: tuple[Account, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the entry of `credentialSubject.capability`."""
        entry: dict[str, object] = {"type": ENTRY_TYPE, "resource": list(self.resources), "tools": _tools_json(self)}
        return entry if self.limits is None else {**entry, "limits": self.limits.to_json()}

    def narrowed_to(self, resource: str) -> Capability | None:
        """Return this capability for `resource` alone, or None when it does not name it exactly."""
        if resource not in self.resources:
            return None
        return replace(self, resources=(resource,))

    def covers(self, tool: str, arguments: Mapping[str, object]) -> bool:
        """Tell whether the call is admitted; limits are not looked at here."""
        constraints = self.tools.get(tool)
        if constraints is None:
            return False
        if not constraints:
            return True
        return constraints.keys() == arguments.keys() and all(
            is_satisfied(constraint, arguments[name]) for name, constraint in constraints.items()
        )


def covered_by(child: Capability, parent: Capability) -> bool:
    """Tell whether `child` grants nothing that `parent` does not: resources, tools, arguments and limits."""
    if not set(child.resources) <= set(parent.resources):
        return False
    if parent.limits is not None and (child.limits is None or not child.limits.within(parent.limits)):
        return False
    return all(
        tool in parent.tools and _arguments_are_covered(arguments, parent.tools[tool])
        for tool, arguments in child.tools.items()
    )


def parse_capability(value: object) -> Capability:
    """Return the capability that one credential entry describes (closed schema).

    Raises: BadCredential, BadConstraint.
    """
    names = frozenset({"type", "resource", "tools"})
    entry = closed.members(value, "capability", required=names, optional=frozenset({"limits"}))
    closed.constant(entry["type"], "capability type", ENTRY_TYPE)
    return _read(entry["resource"], entry)


def parse_bare_capability(value: object) -> Capability:
    """Return the capability that `{resource, tools, limits?}` describes, as requests carry it.

    Raises: BadCredential, BadConstraint.
    """
    names = frozenset({"resource", "tools"})
    entry = closed.members(value, "capability", required=names, optional=frozenset({"limits"}))
    return _read(entry["resource"], entry)


def to_authorization_detail(capability: Capability, resource: str) -> dict[str, object]:
    """Return the `authorization_details` entry (RFC 9396, section 2) of `capability`, as requests have it."""
    detail: dict[str, object] = {"type": DETAIL_TYPE, "locations": [resource], "tools": _tools_json(capability)}
    return detail if capability.limits is None else {**detail, "limits": capability.limits.to_json()}


def parse_authorization_detail(value: object) -> Capability:
    """Return the capability that an `authorization_details` entry of our type describes, as requests have it.

    Raises: BadCredential, BadConstraint.
    """
    return _parse_detail(value, frozenset({"limits"}))


def to_granted_detail(capability: Capability, resource: str) -> dict[str, object]:
    """Return the entry as a token has it: `charged` says where the calls are counted."""
    detail = to_authorization_detail(capability, resource)
    return {**detail, "charged": [one.to_json() for one in capability.accounts]} if capability.accounts else detail


def parse_granted_detail(value: object) -> Capability:
    """Return the capability of an entry that the signer of a token states; whoever asks for a token may not.

    Raises: BadCredential, BadConstraint.
    """
    found = _parse_detail(value, frozenset({"limits", "charged"}))
    if not isinstance(value, dict) or "charged" not in value:
        return found
    if found.limits is None:
        raise BadCredential("a capability without limits is charged to nobody")
    return replace(found, accounts=parse_accounts(value["charged"]))


def tool_scope(name: str) -> str:
    """Return the OAuth scope that stands for the tool `name`."""
    return f"tool:{name}"


def scopes_of(capabilities: Iterable[Capability]) -> frozenset[str]:
    """Return the scopes of all tools that `capabilities` name."""
    return frozenset(tool_scope(tool) for capability in capabilities for tool in capability.tools)


def _arguments_are_covered(child: Mapping[str, Constraint], parent: Mapping[str, Constraint]) -> bool:
    if not parent:
        return True
    # An emptied or shortened map would admit more calls, not fewer: the closed world demands the same names.
    return child.keys() == parent.keys() and all(subsumes(parent[name], child[name]) for name in parent)


def _parse_detail(value: object, optional: frozenset[str]) -> Capability:
    names = frozenset({"type", "locations", "tools"})
    entry = closed.members(value, "authorization detail", required=names, optional=optional)
    closed.constant(entry["type"], "authorization detail type", DETAIL_TYPE)
    return _read(entry["locations"], entry)


def _read(resources: object, entry: Mapping[str, object]) -> Capability:
    listed = closed.array(resources, "resource", least=1, most=MAX_RESOURCES)
    names = tuple(closed.uri(item, "resource") for item in listed)
    if len(set(names)) != len(names):
        raise BadCredential("a resource is named twice")
    if any("#" in name for name in names):
        raise BadCredential("a resource has a fragment (RFC 8707, section 2)")
    limits = parse_limits(entry["limits"]) if "limits" in entry else None
    return Capability(resources=names, tools=_parse_tools(entry["tools"]), limits=limits)


def _parse_tools(value: object) -> Tools:
    if not isinstance(value, dict) or len(value) > MAX_TOOLS:
        raise BadCredential(f"tools is not an object of at most {MAX_TOOLS} tools")
    return MappingProxyType({_tool_name(name): _parse_arguments(name, value[name]) for name in value})


def _tool_name(name: str) -> str:
    if not _TOOL.fullmatch(name):
        raise BadCredential(f"tool name {name[:40]!r} cannot be a scope token")
    return name


def _parse_arguments(tool: str, value: object) -> Mapping[str, Constraint]:
    if not isinstance(value, dict) or len(value) > MAX_ARGUMENTS:
        raise BadCredential(f"tool {tool} does not map at most {MAX_ARGUMENTS} arguments")
    for name in value:
        closed.text(name, "argument name", max_chars=MAX_ARGUMENT_NAME)
    return MappingProxyType({name: parse_constraint(constraint) for name, constraint in value.items()})


def _tools_json(capability: Capability) -> dict[str, object]:
    return {
        tool: {name: constraint.to_json() for name, constraint in arguments.items()}
        for tool, arguments in capability.tools.items()
    }
