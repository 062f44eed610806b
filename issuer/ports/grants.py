"""What the issuer keeps of credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Agent, Grant, GrantState
from issuer.model.grants import Retry


class GrantWork(Protocol):
    """The part of a transaction that is about credentials."""

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        ...

    async def add_grants(self, made: Sequence[Grant]) -> None:
        """Add many; all or none."""
        ...

    async def grant(self, identifier: str, *, organisation: str | None) -> Grant | None:
        """Return one credential."""
        ...

    async def grants_by_id(self, identifiers: Sequence[str], *, organisation: str) -> Sequence[Grant]:
        """Return credentials in the order they are asked for."""
        ...

    async def grants(
        self,
        *,
        organisation: str,
        agent_id: str | None,
        state: GrantState | None,
        now: datetime,
        limit: int,
        owner: str | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first; with `owner` those of its agents alone.

        With `after`, the time and id of one, those that follow it.
        """
        ...

    async def agents_by_name(self, identifiers: Sequence[str], *, organisation: str) -> dict[str, Agent]:
        """Return agents by what they were asked for, `agent_id` or DID, held until the transaction ends."""
        ...

    async def lineage(self, identifier: str, *, organisation: str, now: datetime) -> Sequence[str]:
        """Return a credential and all of its line that are not over, as ids: what it continues, what continues it."""
        ...

    async def granted_from(
        self,
        *,
        organisation: str,
        now: datetime,
        role: str | None = None,
        template: str | None = None,
        agent_id: str | None = None,
        unfounded: bool = False,
        counting: bool = False,
    ) -> Sequence[str]:
        """Return live credentials that came from a role or a template, or those that these do not give any more.

        With `counting` also those that were revoked or lapsed before the time of what is counted of them was over.
        """
        ...

    async def handed_on(self, identifiers: Sequence[str]) -> Sequence[str]:
        """Return those of which agents registered delegations."""
        ...

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        ...

    async def revoke_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Mark many revoked and return those that were not."""
        ...

    async def suspend_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Mark credentials suspended and return those that were neither that nor over."""
        ...

    async def resume_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Take suspensions back and return whose."""
        ...

    async def mark_renewed(self, identifier: str, successor: str) -> bool:
        """Say what a credential was renewed to; False when it was renewed before."""
        ...

    async def remember(
        self, retry: Retry, credentials: Sequence[str], *, organisation: str, now: datetime, expires: datetime
    ) -> bool:
        """Keep what came of a request, and forget what is over; False when there was one under the same key."""
        ...

    async def remembered(self, retry: Retry, *, organisation: str) -> Sequence[str] | None:
        """Return what came of an earlier request under the key.

        Raises: StateConflict when that one asked for something else.
        """
        ...
