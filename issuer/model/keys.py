"""Keys of agents: which was bound when, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from issuer.model import HOME

KeyEnd = Literal["rotated", "recovered", "retired", "rebound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKey:
    """One key of an agent; a DID belongs to one agent for ever."""

    organisation: str = HOME
    agent_id: str
    did: str
    added: datetime
    ended: datetime | None = None
    why: KeyEnd | None = None
    statement: str | None = None  # of the key before, where it said that this one comes after it
