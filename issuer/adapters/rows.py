"""One transaction's connection: what every topic's part of the store stands on."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection


class Rows:
    """One transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._do = connection
        self.flipped: set[int] = set()  # status lists this transaction changes
