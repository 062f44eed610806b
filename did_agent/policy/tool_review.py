"""What an operator looks at before approving tools: each as it is now, beside what was approved (LLM-06)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from did_agent.errors import NotFound
from did_agent.tokens.tool_pins import Definition, Pin, ToolPins, definition_of, digest_of

State = Literal["approved", "changed", "new", "gone"]
Servers = Mapping[str, Mapping[str, Pin]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One tool: as the server lists it, and as it was approved."""

    name: str
    now: Definition | None  # None: the server does not list it any more
    pin: Pin | None  # None: nobody approved it

    @property
    def state(self) -> State:
        """How the two stand to each other."""
        if self.now is None:
            return "gone"
        if self.pin is None:
            return "new"
        return "approved" if digest_of(self.now) == self.pin.digest else "changed"

    @property
    def says_it_reads(self) -> bool:
        """Whether the server claims that the tool changes nothing; a claim, and nobody's approval."""
        annotations = (self.now or {}).get("annotations")
        return isinstance(annotations, dict) and annotations.get("readOnlyHint") is True


def review(tools: Iterable[Mapping[str, object]], pins: Mapping[str, Pin]) -> Sequence[Review]:
    """Return every tool that is listed or was approved, by name.

    Raises: InvalidParameter, BadEncoding for a definition that has no canonical form.
    """
    listed = {str(tool["name"]): definition_of(tool) for tool in tools}
    for definition in listed.values():
        digest_of(definition)
    return [Review(name=name, now=listed.get(name), pin=pins.get(name)) for name in sorted(listed.keys() | pins.keys())]


def chosen(reviews: Sequence[Review], names: Sequence[str]) -> Sequence[Review]:
    """Return the tools that are named; all where none is.

    Raises: NotFound.
    """
    known = {one.name for one in reviews}
    for name in names:
        if name not in known:
            raise NotFound(f"there is no tool {name}")
    return [one for one in reviews if not names or one.name in names]


def approve(
    before: ToolPins | None, resource: str, tools: Sequence[Review], *, reads: Iterable[str], by: str, at: datetime
) -> ToolPins:
    """Return the pins with these tools as they are now; which of them only read is what `reads` says, nothing else."""
    reading = frozenset(reads)
    approved = {
        one.name: Pin(definition=one.now, reads=one.name in reading, by=by, at=at)
        for one in tools
        if one.now is not None
    }
    mine = {**_of(before, resource), **approved}
    return _next(before, resource, mine, by=by, at=at)


def revoke(before: ToolPins, resource: str, names: Iterable[str], *, by: str, at: datetime) -> ToolPins:
    """Return the pins without these tools; a server whose last pin goes has none left that is approved.

    Raises: NotFound.
    """
    mine = dict(_of(before, resource))
    for name in names:
        if mine.pop(name, None) is None:
            raise NotFound(f"{name} is not approved for {resource}")
    return _next(before, resource, mine, by=by, at=at)


def _of(pins: ToolPins | None, resource: str) -> Mapping[str, Pin]:
    return {} if pins is None else pins.servers.get(resource, {})


def _next(before: ToolPins | None, resource: str, mine: Mapping[str, Pin], *, by: str, at: datetime) -> ToolPins:
    servers = {**({} if before is None else before.servers), resource: mine}
    return ToolPins(version=1 if before is None else before.version + 1, by=by, at=at, servers=servers)
