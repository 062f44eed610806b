"""Capability templates, roles of agents, and what an organisation lets its people grant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from did_agent.credential.capability import Capability
from issuer.model import DIRECT, HOME, Agent, Source

AssigneeKind = Literal["agent", "group", "template"]  # an agent, a group, or all made from a template of agents

MAX_TEMPLATES: Final = 16  # of one role
MAX_BULK: Final = 500  # credentials of one request
MAX_RENEWABLE: Final = 90 * 86_400  # seconds that one decision can be renewed for


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityTemplate:
    """What a credential made from it says.  A change makes a new version; credentials name the one they came from."""

    organisation: str = HOME
    name: str
    version: int
    description: str
    capabilities: tuple[Capability, ...]
    valid_seconds: int
    max_depth: int
    renewable_seconds: int  # from the first issue; 0: the agent cannot renew
    needs_approval: bool  # nobody grants it alone
    managers: bool  # whether managers may grant it, and approve requests for it
    created: datetime
    by: str
    withdrawn: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRole:
    """Capability templates under one name, for those it is assigned to."""

    organisation: str = HOME
    name: str
    description: str
    templates: tuple[str, ...]
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who has a role."""

    organisation: str = HOME
    role: str
    kind: AssigneeKind
    target: str  # agent_id, or the name of a group or template
    by: str
    request_id: str | None = None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """A template that an agent may have a credential from, and the role that says so."""

    role: str
    template: CapabilityTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantingPolicy:
    """What an organisation's admin lets others do (WEB-04); without one managers grant from templates alone."""

    organisation: str = HOME
    max_valid_seconds: int = 86_400
    manager_resources: tuple[str, ...] = ()  # where managers may grant any tool
    separation: bool = True  # requests are approved by neither who asked nor the agent's owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one credential shall say, when everything was looked up."""

    capabilities: tuple[Capability, ...]
    valid_seconds: int
    max_depth: int
    on_behalf_of: str | None = None
    source: Source = DIRECT


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """What somebody asks to be granted: capabilities, or a template by its name."""

    agent: str  # agent_id or DID
    capabilities: tuple[Capability, ...] = ()
    template: str | None = None
    valid_seconds: int | None = None  # None: as the template or the organisation says
    max_depth: int | None = None
    renewable_seconds: int = 0
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which request this is, for one that may be sent twice (`Idempotency-Key`)."""

    key: str
    digest: str  # of what was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an agent is entitled to, as far as it is in force."""

    agent: Agent
    entitlements: tuple[Entitlement, ...]
