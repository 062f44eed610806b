"""What the bridge keeps of news that come in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from did_agent.tokens.security_event import SecurityEvent


class Announcements(Protocol):
    """The part of a transaction that takes many announcements at once."""

    async def announce_all(self, entries: Sequence[tuple[SecurityEvent, str, str]]) -> Sequence[SecurityEvent]:
        """Append events with their signed form and key, in order; return those that were not announced before."""
        ...
