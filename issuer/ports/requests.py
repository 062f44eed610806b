"""What the issuer keeps of requests for rights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model.requests import GrantRequest, RequestState


class RequestWork(Protocol):
    """The part of a transaction that is about requests."""

    async def add_request(self, request: GrantRequest) -> None:
        """Add a request."""
        ...

    async def request(self, identifier: str, *, organisation: str) -> GrantRequest | None:
        """Return one request."""
        ...

    async def requests(
        self,
        *,
        organisation: str,
        now: datetime,
        state: RequestState | None = None,
        agent_id: str | None = None,
        owner: str | None = None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[GrantRequest]:
        """Return requests, newest first: for one agent, for the agents of one owner."""
        ...

    async def pending_requests(self, agent_id: str, *, organisation: str, now: datetime) -> int:
        """Return how many requests for an agent wait."""
        ...

    async def decide_request(self, decided: GrantRequest) -> bool:
        """Store a decision; False when there is one."""
        ...
