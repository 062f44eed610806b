"""Nonces for DPoP proofs, made without storage and good for a few minutes (RFC 9449, 8 and 9)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.errors import DPoPNonceNeeded

PERIOD: Final = 120  # s that a nonce is handed out; it is taken for one period more


def current_nonce(key: bytes, *, now: datetime) -> str:
    """Return the nonce of this period; all workers hand out the same."""
    return _nonce(key, numeric_date(now) // PERIOD)


def require_nonce(nonce: str | None, key: bytes, *, now: datetime) -> None:
    """Return when `nonce` is that of this period or of the one before.

    Raises: DPoPNonceNeeded.
    """
    period = numeric_date(now) // PERIOD
    fits = [hmac.compare_digest((nonce or "").encode(), _nonce(key, period - back).encode()) for back in (0, 1)]
    if not any(fits):
        raise DPoPNonceNeeded("the proof carries no current nonce")


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceRing:
    """The nonces of one party; having one means to demand them."""

    key: bytes = field(repr=False)

    def current(self, now: datetime) -> str:
        """Return the nonce to hand out."""
        return current_nonce(self.key, now=now)

    def require(self, nonce: str | None, now: datetime) -> None:
        """Return when `nonce` is one of ours and not old.

        Raises: DPoPNonceNeeded.
        """
        require_nonce(nonce, self.key, now=now)


def _nonce(key: bytes, period: int) -> str:
    return base64url.encode(hmac.digest(key, b"dpop " + str(period).encode(), hashlib.sha256)[:18])
