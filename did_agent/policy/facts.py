"""The facts a decision was made from, as they are recorded, saved and replayed: enough to decide again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from did_agent.clock import format_milliseconds
from did_agent.credential import closed
from did_agent.credential.capability import tool_scope
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_json
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadPolicy, DidAgentError, Malformed
from did_agent.policy.combination import Scopes

MAX_RECORDED: Final = 8_000  # characters of facts in one audit event; larger ones are not replayed
MAX_NAMES: Final = 1_000
_TOOL: Final = tool_scope("")
_TEXTS: Final = ("user", "agent", "client", "task")
_LISTS: Final = ("groups", "actors")
_SCOPES: Final = ("rights", "agent_tools", "tools")
_HELD_BACK: Final = "arguments_held_back"
_MEMBERS: Final = frozenset(
    {*_TEXTS, *_LISTS, *_SCOPES, "resource", "limits", "chain", "risk", "arguments", "time", _HELD_BACK}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Who asks for what, and what each side may; in tools of one resource."""

    resource: str
    time: datetime
    user: str | None = None  # None: the agent acts on its own
    groups: frozenset[str] = frozenset()
    rights: Scopes = frozenset()  # of the account itself, without its roles
    agent: str | None = None  # who acts; None: a program the user runs
    agent_tools: Scopes | None = None  # what its credentials give
    actors: tuple[str, ...] = ()  # earlier agents of the chain, the latest first
    chain: bool = False  # whether its credentials were handed on by another agent
    tools: Scopes | None = None  # asked for; None: whatever is allowed
    limits: Mapping[str, Scopes] = field(default_factory=dict)
    client: str = ""
    task: str | None = None
    risk: int | None = None
    arguments: Mapping[str, object] | None = None
    arguments_held_back: bool = False  # there were some, whose values are not recorded

    def to_json(self) -> dict[str, object]:
        """Return the wire object: what is absent is left out."""
        found: dict[str, object] = {
            "resource": self.resource,
            "time": format_milliseconds(self.time),
            "user": self.user,
            "groups": sorted(self.groups),
            "rights": _names_of(self.rights),
            "agent": self.agent,
            "agent_tools": None if self.agent_tools is None else _names_of(self.agent_tools),
            "actors": list(self.actors),
            "chain": self.chain,
            "tools": None if self.tools is None else _names_of(self.tools),
            "limits": {name: _names_of(scopes) for name, scopes in self.limits.items()},
            "client": self.client,
            "task": self.task,
            "risk": self.risk,
            "arguments": None if self.arguments is None else dict(self.arguments),
            _HELD_BACK: self.arguments_held_back,
        }
        always = {"resource", "time", "agent_tools", "tools", "risk", "arguments"}
        return {name: value for name, value in found.items() if value or (name in always and value is not None)}

    def recorded(self) -> str | None:
        """Return the facts as an audit event carries them: without the values of arguments; None when too many."""
        kept = self if self.arguments is None else replace(self, arguments=None, arguments_held_back=True)
        text = canonicalize(kept.to_json()).decode()
        return text if len(text) <= MAX_RECORDED else None


def parse_facts(value: object, *, default_time: datetime | None = None) -> Facts:
    """Return the facts a JSON object states.

    Raises: BadPolicy.
    """
    entry = closed.members(value, "facts", required=frozenset({"resource"}), optional=_MEMBERS, error=BadPolicy)
    given = {name: entry[name] for name in entry if entry[name] is not None}
    texts = {name: _text(given, name) for name in _TEXTS if name in given}
    time = _time(given["time"]) if "time" in given else default_time
    risk, arguments, chain = given.get("risk"), given.get("arguments"), given.get("chain", False)
    held_back = given.get(_HELD_BACK, False)
    if time is None or not isinstance(arguments, dict | None):
        raise BadPolicy("facts: time is missing, or arguments are no object")
    if not isinstance(chain, bool) or not isinstance(held_back, bool):
        raise BadPolicy(f"facts: chain or {_HELD_BACK} is no boolean")
    if isinstance(risk, bool) or not isinstance(risk, int | None):
        raise BadPolicy("facts: risk is no integer")
    scopes = {name: _scopes(given[name], name) for name in _SCOPES if name in given}
    return Facts(
        resource=_text(given, "resource"),
        time=time,
        user=texts.get("user"),
        groups=frozenset(_list(given, "groups")),
        rights=scopes.get("rights", frozenset()),
        agent=texts.get("agent"),
        agent_tools=scopes.get("agent_tools"),
        actors=tuple(_list(given, "actors")),
        chain=chain,
        tools=scopes.get("tools"),
        limits=_limits(given.get("limits", {})),
        client=texts.get("client", ""),
        task=texts.get("task"),
        risk=risk,
        arguments=arguments,
        arguments_held_back=held_back,
    )


def read_recorded(text: str) -> Facts:
    """Return the facts of an audit event.

    Raises: BadPolicy.
    """
    try:
        return parse_facts(parse_json(text, max_bytes=MAX_RECORDED))
    except Malformed as error:
        raise BadPolicy(f"the recorded facts cannot be read: {error.code}") from error


def _limits(value: object) -> Mapping[str, Scopes]:
    if not isinstance(value, dict) or len(value) > 16:
        raise BadPolicy("facts: limits is no small object")
    return {closed.text(name, "limits", error=BadPolicy): _scopes(value[name], "limits") for name in value}


def _scopes(value: object, where: str) -> Scopes:
    return frozenset(tool_scope(name) for name in _strings(value, where))


def _list(given: Mapping[str, object], name: str) -> list[str]:
    return _strings(given.get(name, []), name)


def _strings(value: object, where: str) -> list[str]:
    listed = closed.array(value, f"facts: {where}", most=MAX_NAMES, error=BadPolicy)
    return [closed.text(item, f"facts: {where}", error=BadPolicy) for item in listed]


def _text(given: Mapping[str, object], name: str) -> str:
    return closed.text(given[name], f"facts: {name}", error=BadPolicy)


def _time(value: object) -> datetime:
    try:
        return parse_timestamp(value)
    except DidAgentError as error:
        raise BadPolicy("facts: time is no timestamp") from error


def _names_of(scopes: Scopes) -> list[str]:
    return sorted(scope.removeprefix(_TOOL) for scope in scopes)
