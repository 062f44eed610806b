"""What is kept of many agents: what they are looked for by, blueprints, groups, switches, and what happened to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from issuer.model import HOME, Agent, Change, State

Scope = Literal["sponsor", "template", "group", "organisation"]
Event = Literal["create", "describe", "transfer"] | Change
Stopping = Literal["suspend", "retire"]

MAX_PAGE: Final = 100  # rows of one answer
MAX_COUNT: Final = 10_000  # matches that are counted; beyond it only "more" is said
MAX_BATCH: Final = 1_000  # agents of one import, of one blueprint's instances, of one change of a group


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What agents are looked for by; all that is given must fit."""

    organisation: str = HOME
    name: str | None = None
    prefix: str | None = None  # of the name, as `issuer.naming.skeleton` reads it
    words: tuple[str, ...] = ()  # of name, description and sponsor
    state: str | None = None
    sponsor: str | None = None
    owner: str | None = None
    template: str | None = None
    did: str | None = None
    tag: str | None = None
    group: str | None = None
    own: str | None = None  # the owner whose agents alone the asker may see


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What of an agent is to be said anew; None leaves a thing as it is."""

    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] | None = None
    redirect_uris: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    sponsor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened to an agent."""

    organisation: str
    agent_id: str
    event: Event
    before: State | None
    after: State
    actor: str
    reason: str
    at: datetime
    seq: int = 0  # its place in the history; given by the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A blueprint: what agents made from it have in common.  A change makes a new version; old ones stay readable."""

    organisation: str
    name: str
    version: int
    sponsor: str
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    redirect_uris: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    created: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Agents that are dealt with together."""

    organisation: str
    name: str
    description: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A kill switch: while it is on, what it covers is suspended and nothing it covers becomes active."""

    organisation: str
    id: str
    scope: Scope
    target: str  # a sponsor, a template's or a group's name; "" for all of the organisation
    reason: str
    by: str
    at: datetime
    stopped: int  # agents that it suspended
    lifted: datetime | None = None
    lifted_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a change would end; counts are exact, names the first of them."""

    agents: int
    credentials: int  # in force now
    children: int  # credentials in force that were delegated from these and are known here
    status_entries: int  # places in status lists that would be set
    tools: tuple[str, ...]
    resources: tuple[str, ...]
    is_partial: bool = False  # tools and resources are those of the newest credentials alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """An agent as somebody else's list has it; `key` names it there, once."""

    key: str
    agent: Agent
    skeleton: str
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of a row."""

    key: str
    outcome: Literal["created", "exists", "refused"]
    agent_id: str | None = None
    code: str | None = None
    detail: str | None = None
