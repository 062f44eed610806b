"""What the issuer keeps of organisations and of proposals in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from issuer.model.organisations import Organisation, Proposal


class OrganisationWork(Protocol):
    """The part of a transaction that is about organisations."""

    async def add_organisation(self, organisation: Organisation) -> bool:
        """Add an organisation; False when there is one of this name."""
        ...

    async def put_resources(self, name: str, resources: Sequence[str]) -> bool:
        """Store at which resources an organisation may grant; False when there is none of this name."""
        ...

    async def put_controls(self, organisation: Organisation) -> None:
        """Store what takes two people, and the organisation if it is not known yet."""
        ...

    async def organisation(self, name: str) -> Organisation | None:
        """Return an organisation."""
        ...

    async def suspension(self, name: str) -> str | None:
        """Return the kill switch by which the deployment's own admins stopped an organisation."""
        ...

    async def organisations(self) -> Sequence[Organisation]:
        """Return every organisation, by name."""
        ...

    async def add_proposal(self, proposal: Proposal) -> None:
        """Keep a proposal."""
        ...

    async def proposal(self, identifier: str, *, organisation: str) -> Proposal | None:
        """Return a proposal."""
        ...

    async def proposals(
        self, organisation: str, *, after: tuple[datetime, str] | None = None, limit: int
    ) -> Sequence[Proposal]:
        """Return proposals, the newest first; with `after`, the time and id of one, those that follow it."""
        ...

    async def decide_proposal(
        self, proposal: Proposal, verdict: Literal["approved", "rejected"], *, by: str, now: datetime
    ) -> bool:
        """Decide an open proposal, once; False when somebody did before."""
        ...
