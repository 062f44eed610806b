"""What spending needs from the world: a counter over all guards; `verifier.adapters.limits` makes it real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from verifier.limits.model import Charge, Refused, Spent


class LimitCounter(Protocol):
    """Counts what is charged to accounts, durably and over all guards that share it."""

    async def spend(self, charges: Sequence[Charge], now: int, spend_id: str) -> Spent | Refused:
        """Make all `charges` at once, or none; they come sorted by account and kind.

        `spend_id` is ours and fresh.  Raises: StoreUnavailable.
        """
        ...

    async def refund(self, spent: Spent) -> None:
        """Take a spend back, once, while its windows last.

        Raises: StoreUnavailable.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; the next spend makes new ones."""
        ...
