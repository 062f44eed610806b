"""Webhooks: who is told of what, and how far that got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from issuer.model import HOME

Scheme = Literal["v1a", "v1"]  # Ed25519 with a public key for the receiver, or HMAC-SHA256 with a shared secret
DeliveryState = Literal["waiting", "delivered", "dead"]

MAX_ENDPOINTS: Final = 16  # of one organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address of an organisation's own that is told of events."""

    organisation: str = HOME
    id: str  # urn:uuid
    url: str
    topics: tuple[str, ...]  # "*", "credential.*" or "credential.revoked"
    description: str
    scheme: Scheme
    generation: int = 1  # of its key
    previous_until: datetime | None = None  # how long the key before signs as well
    disabled: str | None = None  # why
    by: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something that happened, as receivers hear it: what and about whom, the rest is asked for at the API."""

    organisation: str
    id: str  # the same at each attempt, so that receivers can tell a second one
    kind: str  # noun.participle
    body: str  # the bytes that are signed and sent
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One announcement on its way to one endpoint."""

    organisation: str
    endpoint_id: str
    id: str  # of the announcement
    kind: str
    body: str
    created: datetime
    gives_up: datetime
    next_attempt: datetime
    attempts: int
    state: DeliveryState
    outcome: str | None  # of the last attempt: a status code, or a word of ours
