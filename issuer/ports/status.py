"""What the issuer keeps of status lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from did_agent.credential.status import Purpose
from issuer.model.status import Flip, Lease, Place, StatusList


class StatusWork(Protocol):
    """The part of a transaction that is about status lists.

    A flip is one row, written in the transaction of what it tells of.  Revocation is never taken back.
    """

    async def lease(self, organisation: str, count: int, *, issuer: str, size: int, capacity: int) -> Sequence[Lease]:
        """Return `count` positions nobody was given before, of the organisation's open list and of new ones after it.

        They are ours once the transaction is committed; should it not be, somebody else will get them.
        """
        ...

    async def status_list(self, number: int) -> StatusList | None:
        """Return a list."""
        ...

    async def list_version(self, number: int) -> int:
        """Return how often a list was changed; 0 for one that never was."""
        ...

    async def flips(self, number: int, *, after: Flip | None, since: int, limit: int) -> Sequence[Flip]:
        """Return bits as they are that were changed since a version, in order of version; `after` continues."""
        ...

    async def flip(self, places: Sequence[Place], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits at `places`.

        Raises: StateConflict for a revocation that would be taken back.
        """
        ...

    async def flip_agents(self, agent_ids: Sequence[str], *, suspended: bool, now: datetime) -> None:
        """Suspend, or bring back, all live credentials of agents and all delegated to them, set-based.

        A credential that is suspended for itself stays so when its agent comes back.
        """
        ...

    async def flip_credentials(self, identifiers: Sequence[str], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits of credentials of ours by their ids, set-based.

        Raises: StateConflict for a revocation that would be taken back.
        """
        ...

    async def flip_delegations(self, identifiers: Sequence[str], purpose: Purpose, *, value: bool) -> None:
        """Set or clear the bits of registered delegations by their ids, set-based.

        Raises: StateConflict for a revocation that would be taken back.
        """
        ...
