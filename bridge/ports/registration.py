"""Registrations: the stored side, part of every transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bridge.model.registration import Registration


class Registrations(Protocol):
    """Self-registered clients beside the others, and how many came in a day."""

    async def add_registration(self, registration: Registration) -> None: ...
    async def registration(self, client_id: str) -> Registration | None: ...
    async def delete_registration(self, client_id: str) -> None: ...

    # That a client got a token; nothing for clients of other kinds.
    async def note_use(self, client_id: str, *, now: datetime) -> None: ...

    # Count one more under a key, kept until `expires`; False when there are `limit` already.
    async def count(self, key: str, *, limit: int, expires: datetime) -> bool: ...
