"""Gates: what may still refuse a call that policy allows, such as limits, pinned tools, or no room for the record.

Gates only ever take away (POL-03).  They are asked in order, and none after one that refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from did_agent.errors import AuditUnavailable
from did_agent.policy.decide import Call, Decision
from verifier.model import Admission


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call somebody makes."""

    admission: Admission
    call: Call
    request_id: str
    now: datetime


class Gate(Protocol):
    """One more condition."""

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        """Return an allowed decision as it is, or refused, with its reason.

        Raises: Unavailable when that cannot be found out.
        """
        ...

    async def undo(self, request_id: str, *, happened: bool) -> None:
        """Take back what `judge` consumed for a request: it was not done, or `happened` and failed."""
        ...


def refuse(decision: Decision, *, reason: str, explanation: str) -> Decision:
    """Return the decision with a gate's refusal in front of its explanation."""
    return replace(
        decision, allowed=False, reason=reason, explanation=f"{explanation}; {decision.explanation}", covering=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomForTheRecord:
    """Keeps the last room for records free for what only reads: a ledger that is away must not stop everything."""

    is_pressed: Callable[[], bool]  # whether the room left is for what only reads
    only_reads: Callable[[str], bool]  # by tool

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        """Return the decision while there is room, or the tool changes nothing.

        Raises: AuditUnavailable.
        """
        if self.is_pressed() and not self.only_reads(asked.call.tool):
            raise AuditUnavailable("too many events wait for the ledger; only tools that read are let through")
        return decision

    async def undo(self, request_id: str, *, happened: bool) -> None:
        """Nothing was consumed."""
