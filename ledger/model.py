"""What the ledger keeps and tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from did_agent.audit.event import AuditEvent
from did_agent.audit.merkle import leaf_hash
from did_agent.audit.personal import personal_fields
from did_agent.tokens.access_token import HOME

MAX_PAGE = 500  # rows of one answer


class Entry(NamedTuple):
    """An event as the log takes it, and with what it will be looked for by; a tuple, for thousands come a second."""

    id: str
    leaf: bytes  # RFC 9162 leaf hash of `text`; empty as long as it is to be sealed
    text: str  # canonical event; personal fields stand as commitments once it is sealed
    members: Mapping[str, Any]  # the event as it was delivered
    personal: Mapping[str, tuple[str, ...]]  # its fields that name people, and whom
    principal: str | None
    target: str | None
    action: str
    decision: str
    reason: str
    request_id: str | None
    time: str  # as it is written, to the millisecond
    actors: tuple[str, ...]  # every agent in the chain, and who stands at its start
    mentions: tuple[str, ...]  # credentials and the task it names
    organisation: str | None  # whose it is; None: the deployment's own
    sealed: str | None = None  # boxes with the values of its personal fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry of the log; rows count from 1 without gaps."""

    seq: int
    leaf: bytes  # RFC 9162 leaf hash of the canonical event with its commitments
    event: AuditEvent
    salts: Mapping[str, str] = field(default_factory=dict)  # of its sealed fields that are shown open


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an intake came to."""

    accepted: int
    duplicates: int  # events the log had already, to the byte
    size: int
    refused: tuple[str, ...] = ()  # ids that the log has with other content


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signed checkpoint as it is kept."""

    size: int
    note: str
    made: int  # s since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which rows are asked for; what is None does not matter."""

    after: int = 0
    before: int | None = None  # rows of smaller numbers alone
    limit: int = 100
    newest: bool = False  # the last `limit` rows instead of the first
    principal: str | None = None
    actor: str | None = None  # anywhere in the chain, or the agent on its own
    target: str | None = None
    action: str | None = None
    decision: str | None = None
    reason: str | None = None
    request_id: str | None = None
    credential: str | None = None  # id of a credential that was shown or made
    task: str | None = None
    since: str | None = None  # time as it is written in events, itself included
    until: str | None = None  # not included
    id: str | None = None
    organisation: str | None = None  # whose rows alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Whose personal fields are to end; what is None is not narrowed."""

    person: str | None = None
    before: str | None = None  # month, "2026-01", itself not included
    organisation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure came to."""

    keys: int  # each of one person in one month
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many decisions of a kind there were in an hour."""

    hour: str  # "2026-01-31T00"
    decision: str
    reason: str
    count: int


def entry_of(event: AuditEvent) -> Entry:
    """Return what the log takes of an event.

    Raises: BadEvent.
    """
    return entry_from(event.to_json(), event.canonical())


def entry_from(members: Mapping[str, Any], canonical: bytes) -> Entry:
    """Return what the log takes of an event of these members, which have that canonical form."""
    personal = personal_fields(members)
    organisation, task = members["details"].get("organisation", HOME), members["details"].get("task")
    return Entry(
        id=members["id"],
        leaf=b"" if personal else leaf_hash(canonical),
        text=canonical.decode(),
        members=members,
        personal=personal,
        principal=members["principal"],
        target=members["target"],
        action=members["action"],
        decision=members["decision"],
        reason=members["reason"],
        request_id=members["request_id"],
        time=members["time"],
        actors=(*members["actors"], *((members["principal"],) if members["principal"] else ())),
        mentions=(*members["credential_ids"], *((task,) if task else ())),
        organisation=None if organisation == HOME else organisation,
    )
