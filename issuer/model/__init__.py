"""Agents, their lifecycle as a table, and the credentials they were granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from did_agent.errors import StateConflict
from did_agent.tokens.security_event import EventKind

State = Literal["pending", "active", "suspended", "retired"]
GrantState = Literal["active", "suspended", "revoked", "expired"]
Change = Literal["enrol", "suspend", "resume", "retire", "recover"]
Custody = Literal["agent", "issuer"]
Role = Literal["admin", "manager", "auditor", "sponsor", "service", "agent"]

HOME: Final = "home"  # the organisation that runs the deployment; tokens of its people name none

# The lifecycle of an agent: what each change needs and where it leads.  `retired` is final.
LIFECYCLE: Final[Mapping[tuple[State, Change], State]] = {
    ("pending", "enrol"): "active",
    ("pending", "retire"): "retired",
    ("active", "suspend"): "suspended",
    ("active", "retire"): "retired",
    ("suspended", "resume"): "active",
    ("suspended", "retire"): "retired",
    ("active", "recover"): "pending",  # its key was lost: it waits for the next one
    ("suspended", "recover"): "pending",  # who hears of a theft suspends first
}
# What the rest of the world is told of a change.
ANNOUNCED: Final[Mapping[Change, EventKind]] = {
    "suspend": "agent-suspended",
    "resume": "agent-resumed",
    "retire": "agent-retired",
}


def next_state(state: State, change: Change) -> State:
    """Return where a change leads.

    Raises: StateConflict when the table has no such change.
    """
    try:
        return LIFECYCLE[state, change]
    except KeyError as error:
        raise StateConflict(f"an agent that is {state} cannot {change}") from error


def change_between(before: State, after: State) -> Change:
    """Return the change that leads from one state to another.

    Raises: StateConflict when the table has none.
    """
    for (state, change), leads in LIFECYCLE.items():
        if (state, leads) == (before, after):
            return change
    raise StateConflict(f"an agent that is {before} does not become {after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A software actor with a stable id; its DID is known once it has enrolled."""

    organisation: str = HOME
    agent_id: str  # urn:uuid
    name: str
    sponsor: str  # who answers for it
    owner: str = ""  # the principal who manages it
    description: str
    metadata: Mapping[str, str]  # software, version, model, environment
    redirect_uris: tuple[str, ...]
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    template: str | None = None  # the blueprint it is an instance of
    custody: Custody = "agent"  # who made its key
    state: State
    did: str | None  # of its current key
    created: datetime
    changed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A one-time invitation; only the digest of its challenge is kept."""

    agent_id: str
    challenge_digest: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a credential was granted from, and until when it may be renewed; all None where somebody just granted it."""

    template: str | None = None  # capability template
    version: int | None = None  # of that template
    role: str | None = None
    request_id: str | None = None
    renewable_until: datetime | None = None  # no renewal is valid for longer than this
    begun: str | None = None  # id of the credential that this one continues, by renewal or under another key


DIRECT: Final = Source()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A capability credential and what became of it."""

    organisation: str = HOME
    id: str
    agent_id: str
    did: str
    document: Mapping[str, object]
    issued: datetime
    valid_until: datetime
    list_number: int
    list_index: int
    revoked: datetime | None = None
    suspended: datetime | None = None  # for itself; its agent may be suspended besides
    renewed_to: str | None = None  # the credential that follows it
    source: Source = DIRECT

    @property
    def begun(self) -> str:
        """Id of the first credential of its line, under which all that continue it are counted."""
        return self.source.begun or self.id

    def state_at(self, now: datetime) -> GrantState:
        """Return what the credential is at a moment."""
        if self.revoked is not None:
            return "revoked"
        if self.valid_until <= now:
            return "expired"
        return "active" if self.suspended is None else "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the bridge must hear: the content of one security event."""

    id: str
    kind: EventKind
    subject: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """What an operator says of an agent before it has a key."""

    name: str
    sponsor: str
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    redirect_uris: tuple[str, ...] = ()
    owner: str | None = None  # None: who registers it
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who asks, as the record will say it; all but the request is None while nobody has proved who they are."""

    request_id: str
    organisation: str = HOME
    roles: frozenset[Role] = frozenset()
    principal: str | None = None
    kind: str | None = None
    client_id: str | None = None
    token_id: str | None = None
    actors: tuple[str, ...] = ()  # through which agents, the one acting now first
