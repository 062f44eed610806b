"""What the issuer keeps of credentials that agents make for others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model.status import Delegation


class DelegationWork(Protocol):
    """The part of a transaction that is about delegations."""

    async def add_delegation(self, delegation: Delegation) -> bool:
        """Add a delegation; False when its id is taken."""
        ...

    async def delegation(self, identifier: str, *, organisation: str) -> Delegation | None:
        """Return a delegation."""
        ...

    async def delegations(
        self,
        *,
        organisation: str,
        agent_id: str | None,
        subject_id: str | None = None,
        parent_id: str | None,
        owner: str | None,
        after: str,
        limit: int,
    ) -> Sequence[Delegation]:
        """Return delegations in the order of ids: by one agent, to one, of one parent, by the agents of one owner."""
        ...

    async def count_delegations(self, agent_id: str, *, organisation: str, since: datetime) -> int:
        """Return how many delegations an agent registered since a moment."""
        ...

    async def revoke_delegations(self, identifier: str, *, organisation: str, now: datetime) -> Sequence[str]:
        """Revoke everything that was made from a credential, however indirectly; return what was in force till now.

        The credential itself is among it where it is a registered delegation.
        """
        ...
