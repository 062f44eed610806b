"""Requests for rights, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from did_agent.credential.capability import Capability
from issuer.model import HOME

Wanted = Literal["capabilities", "template", "role"]
Answer = Literal["approved", "denied", "withdrawn"]
RequestState = Literal["pending", "approved", "denied", "withdrawn", "expired"]

MAX_PENDING: Final = 16  # requests of one agent
DEFAULT_SECONDS: Final = 7 * 86_400  # until a request is over
MAX_SECONDS: Final = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What an agent or a sponsor asks for: exactly one of capabilities, template and role."""

    agent: str  # agent_id or DID
    capabilities: tuple[Capability, ...] = ()
    template: str | None = None
    role: str | None = None
    valid_seconds: int | None = None
    max_depth: int | None = None
    reason: str
    expires_in: int = DEFAULT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRequest:
    """Rights that were asked for, with the decision once there is one."""

    organisation: str = HOME
    id: str  # urn:uuid
    agent_id: str
    wanted: Wanted
    name: str | None  # of the template or role
    capabilities: tuple[Capability, ...]  # as they were asked for; empty for a template or role
    valid_seconds: int | None
    max_depth: int | None
    reason: str
    by: str  # who asked: the agent's DID, or a person
    created: datetime
    expires: datetime
    answer: Answer | None = None
    decided_by: str | None = None
    decided: datetime | None = None
    why: str | None = None
    credential_id: str | None = None  # that came of it

    def state_at(self, now: datetime) -> RequestState:
        """Return what the request is at a moment."""
        if self.answer is not None:
            return self.answer
        return "expired" if self.expires <= now else "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What an approver takes away from what was asked for; None leaves a thing as it is."""

    capabilities: tuple[Capability, ...] | None = None
    valid_seconds: int | None = None
    max_depth: int | None = None
