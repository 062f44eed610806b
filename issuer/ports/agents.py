"""What the issuer keeps of agents and their invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from issuer.model import Agent, Enrolment


class AgentWork(Protocol):
    """The part of a transaction that is about agents."""

    async def add_agent(self, agent: Agent, enrolment: Enrolment, *, skeleton: str, by: str = "") -> None:
        """Add a pending agent.  Raises: StateConflict when its organisation has a name like it."""
        ...

    async def agent(self, identifier: str, *, organisation: str | None, hold: bool = True) -> Agent | None:
        """Return the agent with this `agent_id` or DID, held until the transaction ends unless it is only looked at.

        `organisation` None looks at all of them: for the deployment's own parties, and for an agent with its key.
        """
        ...

    async def change_agent(self, agent: Agent, *, by: str = "", reason: str = "") -> None:
        """Store state, DID and time of change, and the change of state in the history.

        Raises: StateConflict when the DID belongs to another agent, the lifecycle has no such change, or a kill switch
        keeps the agent from being active.
        """
        ...

    async def renew_enrolment(self, enrolment: Enrolment) -> None:
        """Invite an agent anew; an invitation it has is void."""
        ...

    async def spend_enrolment(self, agent_id: str, challenge_digest: str, now: datetime) -> bool:
        """Spend the invitation; False when it is unknown, spent or over."""
        ...
