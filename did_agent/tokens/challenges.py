"""Challenges for presentations: made without storage, recognised by a MAC, spent once (attestation-based client auth).

`base64url(0x01 ‖ time ‖ random ‖ MAC)`; the single-use row that is written when one is answered needs no row here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.errors import BadEncoding, WrongChallenge

CHALLENGE_SECONDS: Final = 120  # life of a challenge

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BQ")
_RANDOM: Final = 16  # bytes
_MAC: Final = 16  # bytes of HMAC-SHA-256


def make_challenge(key: bytes, *, now: datetime) -> str:
    """Return a fresh challenge, good for two minutes from `now`."""
    body = _HEAD.pack(_VERSION, numeric_date(now)) + secrets.token_bytes(_RANDOM)
    return base64url.encode(body + _mac(key, body))


def require_challenge(text: str | None, key: bytes, *, now: datetime) -> None:
    """Return when `text` is a challenge that we made, not longer than two minutes ago.

    Raises: WrongChallenge.
    """
    try:
        raw = base64url.decode(text or "")
    except BadEncoding as error:
        raise WrongChallenge("not a challenge of ours") from error
    body = raw[:-_MAC]
    if len(body) != _HEAD.size + _RANDOM or not hmac.compare_digest(raw[-_MAC:], _mac(key, body)):
        raise WrongChallenge("not a challenge of ours")
    version, made = _HEAD.unpack_from(body)
    if version != _VERSION or not 0 <= numeric_date(now) - made < CHALLENGE_SECONDS:
        raise WrongChallenge("the challenge is too old")


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC]
