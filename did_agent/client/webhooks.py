"""Webhooks of an issuer as an operator sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import httpx2

from did_agent.client.paging import pages
from did_agent.client.wire import objects_in, segment, send

Scheme = Literal["v1a", "v1"]
Document = dict[str, Any]


class WebhooksClient:
    """Talks to one issuer about its webhooks; every method raises ServerRefused and PeerUnavailable."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def add(self, url: str, topics: Sequence[str], *, description: str = "", scheme: Scheme = "v1a") -> Document:
        """Add a webhook; the answer holds its public key, or its secret for the only time."""
        body = {"url": url, "topics": list(topics), "description": description, "scheme": scheme}
        return await self._send("POST", "/webhooks", json=body)

    async def all(self) -> list[Document]:
        """Return all webhooks."""
        return objects_in(await self._send("GET", "/webhooks"), "webhooks")

    async def show(self, identifier: str) -> Document:
        """Return a webhook."""
        return await self._send("GET", f"/webhooks/{segment(identifier)}")

    async def change(self, /, identifier: str, **changes: Any) -> Document:
        """Change a webhook's `url`, its `topics`, or whether it is `enabled`."""
        return await self._send("PATCH", f"/webhooks/{segment(identifier)}", json=changes)

    async def rotate(self, identifier: str) -> Document:
        """Give a webhook another key; the one before signs as well for a day."""
        return await self._send("POST", f"/webhooks/{segment(identifier)}/rotate")

    async def test(self, identifier: str) -> Document:
        """Send a webhook something to try its receiver by."""
        return await self._send("POST", f"/webhooks/{segment(identifier)}/test")

    async def remove(self, identifier: str) -> Document:
        """Remove a webhook."""
        return await self._send("DELETE", f"/webhooks/{segment(identifier)}")

    def deliveries(self, identifier: str, *, state: str | None = None) -> AsyncIterator[Document]:
        """Yield what was or is on its way, newest first."""

        async def fetch(query: dict[str, str]) -> Document:
            return await self._send("GET", f"/webhooks/{segment(identifier)}/deliveries", params=query)

        return pages(fetch, "deliveries", {"state": state})

    async def resend(self, identifier: str, delivery: str) -> Document:
        """Deliver something again."""
        return await self._send("POST", f"/webhooks/{segment(identifier)}/deliveries/{segment(delivery)}/resend")

    async def _send(self, /, method: str, path: str, **content: Any) -> Document:
        return await send("issuer", self.url, method, path, auth=self._auth, **content)
