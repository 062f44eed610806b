"""What the ledger keeps and tells."""

from __future__ import annotations

from dataclasses import dataclass

from did_agent.audit.event import AuditEvent

MAX_PAGE = 500  # rows of one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry of the log; rows count from 1 without gaps."""

    seq: int
    leaf: bytes  # RFC 9162 leaf hash of the canonical event
    event: AuditEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What an intake came to."""

    accepted: int
    duplicates: int  # events the log had already, to the byte
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which rows are asked for; what is None does not matter."""

    after: int = 0
    limit: int = 100
    newest: bool = False  # the last `limit` rows instead of the first
    principal: str | None = None
    actor: str | None = None  # anywhere in the chain, or the agent on its own
    target: str | None = None
    action: str | None = None
    decision: str | None = None
