"""What the issuer keeps of whom an organisation trusts, and of whose documents it publishes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model.trust import TrustLine


class TrustWork(Protocol):
    """The part of a transaction that is about trust."""

    async def raise_trust_version(self, organisation: str) -> int:
        """Return the next version of an organisation's list, which nobody else changes until the transaction ends."""
        ...

    async def trust_version(self, organisation: str) -> int:
        """Return the version of an organisation's list; 0 when nobody ever changed it."""
        ...

    async def add_trust(self, line: TrustLine) -> None:
        """Add a line."""
        ...

    async def remove_trust(self, identifier: str, *, organisation: str) -> TrustLine | None:
        """Delete a line and return it; None when there is none."""
        ...

    async def trust_line(self, identifier: str, *, organisation: str) -> TrustLine | None:
        """Return a line."""
        ...

    async def trust_lines(self, organisation: str) -> Sequence[TrustLine]:
        """Return all lines of an organisation, in the order they were added."""
        ...

    async def publish_did_web(self, agent_id: str, *, organisation: str, now: datetime) -> None:
        """Publish an agent's DID document."""
        ...

    async def withdraw_did_web(self, agent_id: str, *, organisation: str) -> bool:
        """Publish it no more; False when it was not published."""
        ...

    async def has_did_web(self, agent_id: str) -> bool:
        """Tell whether an agent's DID document is published."""
        ...
