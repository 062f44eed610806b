"""Consents and their signed receipts, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.consents import Consent


class Consents(Protocol):
    """Kept by person; a consent is withdrawn, never deleted."""

    async def add_consent(self, consent: Consent, *, receipt: str) -> None: ...
    async def consents(self, username: str, *, limit: int) -> Sequence[Consent]: ...  # the newest first
    async def consent(self, consent_id: str) -> Consent | None: ...
    async def receipt(self, username: str, consent_id: str) -> str | None: ...

    # Says under which key the agent goes by now; False when the consent does not stand.
    async def follow_consent(self, consent_id: str, *, agent: str, client_id: str) -> bool: ...

    # True when it was there and not withdrawn before; its unredeemed code goes with it.
    async def withdraw(self, username: str, consent_id: str, *, now: datetime) -> bool: ...
