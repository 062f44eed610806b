"""Passkeys: keys of people's own devices that sign them in (WebAuthn Level 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

MAX_PASSKEYS: Final = 20  # of one account
CEREMONY_SECONDS: Final = 300  # from the page with the challenge to its answer
FRESH_SECONDS: Final = 600  # since the login; a session older than this adds no passkey


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """What passkeys are bound to; from settings, never from a request."""

    id: str  # the host
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey of an account, known by its credential id."""

    id: str
    username: str
    public_key: str  # COSE key in base64url
    signatures: int  # how many it made, as its device last told; 0 where it does not count
    name: str
    created: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyAnswer:
    """What a browser sent for a challenge; nothing of it is believed."""

    members: dict[str, object]
    id: str
    challenge: bytes
    user_handle: str | None
