"""What the issuer keeps of agents' keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Agent
from issuer.model.keys import AgentKey, KeyEnd


class KeyWork(Protocol):
    """The part of a transaction that is about keys."""

    async def add_key(self, key: AgentKey) -> None:
        """Keep a key.  Raises: StateConflict when it was some agent's before."""
        ...

    async def end_key(self, agent: Agent, did: str, *, why: KeyEnd, now: datetime) -> None:
        """Say that a key counts no more; one that ended before stays as it is."""
        ...

    async def keys(self, organisation: str, agent_id: str, *, limit: int) -> Sequence[AgentKey]:
        """Return an agent's keys, the newest first."""
        ...
