"""What the issuer keeps of credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Grant, GrantState


class GrantWork(Protocol):
    """The part of a transaction that is about credentials."""

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        ...

    async def grant(self, identifier: str, *, organisation: str | None) -> Grant | None:
        """Return one credential."""
        ...

    async def grants(
        self, *, organisation: str, agent_id: str | None, state: GrantState | None, now: datetime, limit: int
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first."""
        ...

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        ...
