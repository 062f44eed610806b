"""What the bridge keeps of the status of its long-lived tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.token_status import TokenFlip, TokenLease, TokenPlace


class TokenStatuses(Protocol):
    """The part of a unit of work that is about status lists.

    `announce` changes the places of all tokens that an event ends, suspends or brings back, in its transaction.
    """

    # Places nobody was given before; ours once the transaction is committed.
    async def lease_places(self, count: int) -> Sequence[TokenLease]: ...

    async def add_place(self, token_id: str, place: TokenPlace, *, expires: datetime) -> None: ...

    # Whether a list is kept; one whose tokens are all over is not.
    async def has_list(self, number: int) -> bool: ...

    # What changed since a version, in order; versions are numbers of the feed.
    async def token_flips(self, number: int, *, since: int, limit: int) -> Sequence[TokenFlip]: ...
