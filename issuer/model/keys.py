"""Keys: those of agents, which was bound when and why it ended; and those an organisation signs with."""

from __future__ import annotations

from dataclasses import dataclass, field
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


IssuingKeyState = Literal["pending", "active", "retiring", "retired", "revoked"]
Origin = Literal["home", "derived", "sealed"]  # the issuer's own file; made from it; made here and kept sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingKey:
    """One key an organisation signs credentials and lists with; its state follows from its moments and the time."""

    organisation: str
    did: str
    generation: int  # the first is 1
    origin: Origin
    sealed: str | None = field(default=None, repr=False)  # the private half of one that was made here (KEY-01)
    activates: datetime  # when it begins to sign; believed before
    replaced: datetime | None = None  # when its successor begins to sign
    ended: datetime | None = None
    why: Literal["retired", "revoked"] | None = None
    handover: str | None = None  # what the key before says of it


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyImpact:
    """What would end with keys."""

    keys: tuple[str, ...]  # DIDs: the one that was asked for, and those made from it
    organisations: tuple[str, ...]
    agents: int  # that hold something by them
    credentials: int
    delegations: int
    until: datetime | None  # when the last of them ends by itself
