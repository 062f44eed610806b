"""Operators of organisations, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.operators import OrganisationOperator


class Operators(Protocol):
    """Kept by DID."""

    # Adds an operator, or says something else of one.
    async def put_operator(self, operator: OrganisationOperator) -> None: ...

    # None when there is none, or not any more.
    async def operator(self, did: str) -> OrganisationOperator | None: ...

    async def operators(self) -> Sequence[OrganisationOperator]: ...

    # False when there is none.
    async def remove_operator(self, did: str, now: datetime) -> bool: ...
