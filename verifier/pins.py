"""Pinned tools: a tool counts only as an operator approved it; one that changed or is new is blocked (LLM-06).

Who writes a tool's description tells a model what to do.  A server that is honest today may say something else
tomorrow, so every call is held against what was approved, and so is every list of tools that passes by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.errors import DidAgentError, PeerUnavailable
from did_agent.policy.decide import Decision
from did_agent.tokens.tool_pins import Definition, digest_of
from verifier.gates import Asked, refuse
from verifier.methods import is_method
from verifier.ports import Sightings, ToolPins

Pinning = Literal["if_present", "required"]
Ask = Callable[[], Awaitable[Sequence[Definition]]]  # asks the server itself for all of its tools

CHANGED: Final = "tool_changed"
NOT_APPROVED: Final = "tool_not_approved"
# Nothing of the new text goes into these: it is what must not reach a model.
_WORDS: Final = {
    CHANGED: "is not as it was approved, and is blocked until an operator approves it again",
    NOT_APPROVED: "was not approved, and is blocked until an operator approves it",
}
_log: Final = logging.getLogger("did_agent.pins")


@dataclass(slots=True, kw_only=True)
class KnownTools:
    """The tools of one server, as it said itself a moment ago."""

    max_age: timedelta
    digests: Mapping[str, str | None] = field(default_factory=dict)  # None: has no canonical form
    seen: datetime | None = None  # when it said so
    attempts: int = 0  # how often it was asked, whatever came of it

    def is_fresh(self, now: datetime) -> bool:
        """Whether what is known may still be gone by."""
        return self.seen is not None and timedelta() <= now - self.seen < self.max_age

    def learn(self, tools: Sequence[Definition], now: datetime) -> bool:
        """Take the server's own word; tells whether anything is new."""
        digests = {str(tool.get("name")): _digest(tool) for tool in tools}
        is_new, self.digests, self.seen = digests != self.digests, digests, now
        return is_new

    def forget(self) -> None:
        """Ask again before the next call."""
        self.seen = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedTools:
    """The gate that lets only approved tools through, and the eye on every list of tools."""

    pins: ToolPins
    known: KnownTools
    sightings: Sightings
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_active(self) -> bool:
        """Tell whether any tool is pinned here."""
        return self.pins.approved() is not None

    async def ensure_known(self, tool: str, ask: Ask, now: datetime) -> None:
        """Ask the server for its tools where a call of `tool` depends on it; what went wrong, `judge` refuses."""
        approved = self.pins.approved()
        if approved is None or is_method(tool) or self.known.is_fresh(now):
            return
        before = self.known.attempts
        async with self.asking:
            if self.known.attempts != before:
                return  # somebody else asked while we waited; a server that is silent is not asked once for each caller
            try:
                tools = await ask()
            except DidAgentError as error:
                _log.warning("the server does not list its tools: %s", error.detail or error.code)
                return
            finally:
                self.known.attempts += 1
            if self.known.learn(tools, now):
                self.sightings.keep(tools)

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        """Return the decision as it is when the tool is what was approved, or refused.

        Raises: PeerUnavailable when the server does not say what its tools are.
        """
        tool = asked.call.tool
        approved = self.pins.approved()
        if approved is None or is_method(tool):
            return decision
        pin = approved.get(tool)
        if pin is None:
            return _refused(decision, tool, NOT_APPROVED)
        if not self.known.is_fresh(asked.now):
            raise PeerUnavailable("what the tools are now could not be found out")
        if self.known.digests.get(tool) != pin.digest:
            return _refused(decision, tool, CHANGED)
        return decision

    async def undo(self, request_id: str, *, happened: bool) -> None:
        """Nothing was consumed."""

    def shows(self, tool: Definition) -> bool:
        """Tell whether a list may show a tool like this; one that differs makes us ask before the next call."""
        approved = self.pins.approved()
        if approved is None:
            return True
        name, digest = str(tool.get("name")), _digest(tool)
        if self.known.digests.get(name, digest) != digest:
            self.known.forget()
        pin = approved.get(name)
        return pin is not None and pin.digest == digest

    def is_read_only(self, tool: str) -> bool:
        """Tell whether an operator approved the tool as one that changes nothing."""
        pin = (self.pins.approved() or {}).get(tool)
        return pin is not None and pin.reads


def _refused(decision: Decision, tool: str, reason: str) -> Decision:
    return refuse(decision, reason=reason, explanation=f"the tool {tool} {_WORDS[reason]}")


def _digest(tool: Definition) -> str | None:
    try:
        return digest_of(tool)
    except DidAgentError:
        return None
