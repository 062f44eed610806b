"""Clients that registered themselves (RFC 7591, RFC 7592)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bridge.model.clients import OAuthClient

UNUSED: Final = timedelta(days=30)  # after which a client that got no token is forgotten (OAU-12)
PER_DAY: Final = 1_000  # registrations of everybody together in a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is kept beside a client that registered itself."""

    client_id: str
    token_digest: str = field(repr=False)  # of the token by which alone it is read and deleted
    registered: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A client and its registration; the token is known only while it is being shown."""

    client: OAuthClient
    registered: datetime
    token: str = field(repr=False)
