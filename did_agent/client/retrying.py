"""When a request is sent again: only where a second one cannot do a second thing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_SAFE: Final = frozenset({"GET", "HEAD"})
_BUSY: Final = frozenset({429, 502, 503, 504})
_MAX_WAIT: Final = 5.0  # s; who asks for more patience gets an error now


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and after how long; waits double, and half of each is random so that clients spread."""

    attempts: int = 3
    first: float = 0.1  # s before the second attempt

    def wait(self, attempt: int, answer: httpx2.Response | None) -> float | None:
        """Return the seconds to wait after the `attempt`th one, counted from 1; None when it was the last.

        `answer` is what came back, None when nothing did.
        """
        if attempt >= self.attempts or (answer is not None and answer.status_code not in _BUSY):
            return None
        half = self.first * 2.0 ** (attempt - 2)
        wait: float = half + half * secrets.randbelow(1_000) / 1_000
        asked = None if answer is None else answer.headers.get("retry-after")
        if asked is None:
            return wait
        return max(wait, float(asked)) if asked.isdecimal() and float(asked) <= _MAX_WAIT else None


NEVER: Final = Retries(attempts=1)


def retries_for(method: str, headers: Mapping[str, str]) -> Retries:
    """Return how often a request may be sent: what only reads, and what names its own idempotency key."""
    return Retries() if method in _SAFE or IDEMPOTENCY_KEY in headers else NEVER
