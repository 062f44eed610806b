"""What the issuer keeps of status lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from did_agent.credential.status import Purpose


class StatusWork(Protocol):
    """The part of a transaction that is about status lists."""

    async def next_list(self, capacity: int) -> int:
        """Return the number of the status list that still has room."""
        ...

    async def set_bits(self, purpose: Purpose, number: int) -> Sequence[int]:
        """Return the indices that are set in a status list."""
        ...
