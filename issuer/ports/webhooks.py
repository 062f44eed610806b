"""What the issuer keeps of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from issuer.model.webhooks import Announcement, Delivery, DeliveryState, Endpoint


class WebhookWork(Protocol):
    """The part of a transaction that is about webhooks."""

    async def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Queue audit events for the ledger, and what receivers hear of them."""
        ...

    async def announce(self, told: Sequence[Announcement], *, endpoint_id: str | None = None) -> None:
        """Queue announcements for all who listen to their kind, or for one endpoint whatever it listens to."""
        ...

    async def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        ...

    async def endpoint(self, identifier: str, *, organisation: str) -> Endpoint | None:
        """Return an endpoint, held until the transaction ends."""
        ...

    async def endpoints(self, organisation: str) -> Sequence[Endpoint]:
        """Return an organisation's endpoints, oldest first."""
        ...

    async def change_endpoint(self, endpoint: Endpoint) -> None:
        """Store address, topics, key generation and whether it is disabled."""
        ...

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Forget an endpoint and all on its way to it."""
        ...

    async def deliveries(
        self, endpoint: Endpoint, *, state: DeliveryState | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Delivery]:
        """Return what was or is on its way to an endpoint, newest first."""
        ...

    async def send_again(self, endpoint: Endpoint, identifier: str, *, now: datetime, gives_up: datetime) -> bool:
        """Queue a delivery anew; False when there is none of this id."""
        ...

    async def claim_deliveries(
        self, *, now: datetime, until: datetime, limit: int, each: int
    ) -> Sequence[tuple[Endpoint, Delivery]]:
        """Return deliveries that are due, at most `each` to an endpoint; nobody else gets them before `until`."""
        ...

    async def settle_delivery(self, delivery: Delivery) -> None:
        """Store what became of an attempt."""
        ...

    async def forget_deliveries(self, before: datetime) -> None:
        """Forget what was delivered or given up before a moment."""
        ...
