"""What the issuer keeps of principals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from issuer.model.principals import Principal


class PrincipalWork(Protocol):
    """The part of a transaction that is about principals."""

    async def principal(self, identifier: str, *, organisation: str) -> Principal | None:
        """Return a principal of an organisation."""
        ...

    async def principals(self, organisation: str, *, after: str, limit: int) -> Sequence[Principal]:
        """Return principals, by what they are called."""
        ...

    async def note_principal(self, principal: Principal) -> None:
        """Store that a principal came, and with which roles; what an admin said of it stays."""
        ...

    async def name_principal(self, principal: Principal) -> None:
        """Store what an admin says of a principal; when it came stays."""
        ...

    async def forget_principal(self, identifier: str, *, organisation: str) -> bool:
        """Delete a principal; False when there is none."""
        ...
