"""Families of refresh tokens, part of every transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bridge.model.refresh import RefreshFamily


class RefreshFamilies(Protocol):
    """Kept by id; ending one deletes it."""

    async def family(self, family_id: str) -> RefreshFamily | None: ...
    async def add_family(self, family: RefreshFamily) -> None: ...

    # True when `generation` was the newest and its successor is now; of many at once one succeeds.
    async def rotate(self, family_id: str, *, generation: int, now: datetime) -> bool: ...

    # Keeps under whose keys the family goes on.
    async def rebind_family(self, family: RefreshFamily) -> None: ...

    async def end_family(self, family_id: str) -> bool: ...

    # Ends the families of a person, of an agent, or of a code; returns their ids.
    async def end_families(self, owner: str) -> list[str]: ...
