"""The ledger as an auditor sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.client.errors import members_of
from did_agent.errors import PeerUnavailable


class LedgerClient:
    """Talks to one ledger."""

    def __init__(self, url: str, *, auth: httpx2.Auth | None = None) -> None:
        self.url, self._auth = url, auth

    async def events(self, **question: str) -> list[dict[str, Any]]:
        """Return rows `{seq, leaf, event}`, oldest first."""
        try:
            async with peer_client(auth=self._auth) as http:
                answer = members_of(await http.get(f"{self.url}/events", params=question))
        except httpx2.HTTPError as error:
            raise PeerUnavailable(f"the ledger {self.url}: {type(error).__name__}") from error
        return list(answer["events"])

    async def export(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the whole exported log."""
        try:
            async with (
                peer_client(timeout=60.0, auth=self._auth) as http,
                http.stream("GET", f"{self.url}/export") as response,
            ):
                if not response.is_success:
                    await response.aread()
                    members_of(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx2.HTTPError as error:
            raise PeerUnavailable(f"the ledger {self.url}: {type(error).__name__}") from error
