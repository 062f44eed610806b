"""What the bridge must hear, queued in the transaction of its cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from issuer.model import Notice


class NoticeWork(Protocol):
    """The part of a transaction that is about notices."""

    async def add_notice(self, notice: Notice) -> None:
        """Queue what the bridge must hear."""
        ...

    async def add_notices(self, waiting: Sequence[Notice]) -> None:
        """Queue many."""
        ...

    async def notices(self, limit: int) -> Sequence[Notice]:
        """Return what the bridge has not confirmed, oldest first."""
        ...

    async def remove_notices(self, identifiers: Sequence[str]) -> None:
        """Forget what the bridge has confirmed."""
        ...
