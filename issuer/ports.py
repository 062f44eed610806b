"""What the issuer needs: a store whose every change is one transaction, and somebody who carries the news."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from did_agent.credential.status import Purpose
from issuer.model import Agent, Enrolment, Grant, GrantState, Notice


class Work(Protocol):
    """One transaction: all of it happens, or nothing."""

    async def add_agent(self, agent: Agent, enrolment: Enrolment, *, skeleton: str) -> None:
        """Add a pending agent.  Raises: StateConflict when a name like it is taken."""
        ...

    async def agent(self, identifier: str) -> Agent | None:
        """Return the agent with this `agent_id` or DID, held until the transaction ends."""
        ...

    async def agents(self, *, name: str | None, state: str | None, after: str, limit: int) -> Sequence[Agent]:
        """Return agents in the order of their ids."""
        ...

    async def change_agent(self, agent: Agent) -> None:
        """Store state, DID and time of change.  Raises: StateConflict when the DID belongs to another agent."""
        ...

    async def spend_enrolment(self, agent_id: str, challenge_digest: str, now: datetime) -> bool:
        """Spend the invitation; False when it is unknown, spent or over."""
        ...

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        ...

    async def grant(self, identifier: str) -> Grant | None:
        """Return one credential."""
        ...

    async def grants(
        self, *, agent_id: str | None, state: GrantState | None, now: datetime, limit: int
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first."""
        ...

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        ...

    async def next_list(self, capacity: int) -> int:
        """Return the number of the status list that still has room."""
        ...

    async def set_bits(self, purpose: Purpose, number: int) -> Sequence[int]:
        """Return the indices that are set in a status list."""
        ...

    async def add_notice(self, notice: Notice) -> None:
        """Queue what the bridge must hear."""
        ...

    async def notices(self, limit: int) -> Sequence[Notice]:
        """Return what the bridge has not confirmed, oldest first."""
        ...

    async def remove_notice(self, identifier: str) -> None:
        """Forget what the bridge has confirmed."""
        ...

    async def record(self, event: AuditEvent) -> None:
        """Queue an audit event for the ledger."""
        ...


class Store(Protocol):
    """Opens transactions."""

    def work(self) -> AbstractAsyncContextManager[Work]:
        """Open one.  Raises: StoreUnavailable."""
        ...


class News(Protocol):
    """Carries notices to the bridge."""

    async def push(self) -> bool:
        """Try to deliver all that waits, now; True when nothing is left."""
        ...

    def wake_audit(self) -> None:
        """Say that audit events wait."""
        ...
