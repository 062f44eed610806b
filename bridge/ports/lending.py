"""Lendings, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bridge.model.lending import Lending


class Lendings(Protocol):
    """Kept by giver and taker."""

    async def put_lending(self, lending: Lending) -> None: ...

    # False when there is none.
    async def remove_lending(self, giver: str, taker: str) -> bool: ...

    async def lendings(self) -> Sequence[Lending]: ...

    # Whose agents may act for those of this organisation, beside its own.
    async def lenders_to(self, taker: str) -> frozenset[str]: ...
