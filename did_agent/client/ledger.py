"""The ledger as an auditor sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.client.errors import members_of
from did_agent.client.wire import objects_in, require_address, send
from did_agent.errors import PeerUnavailable


class LedgerClient:
    """Talks to one ledger."""

    def __init__(self, url: str, *, auth: httpx2.Auth | None = None) -> None:
        self.url, self._auth = url, auth

    async def events(self, **question: str) -> list[dict[str, Any]]:
        """Return rows `{seq, leaf, event}`, oldest first."""
        answer = await send("ledger", self.url, "GET", "/events", auth=self._auth, params=question)
        return objects_in(answer, "events")

    async def erase(self, **whose: str) -> dict[str, Any]:
        """End the personal fields of a `person`, or of the months `before` one; return `{keys, rows}`.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await send("ledger", self.url, "POST", "/erasures", auth=self._auth, json=whose)

    async def export(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the whole exported log.

        Raises: ServerRefused, PeerUnavailable.
        """
        require_address("ledger", self.url)
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
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerUnavailable(f"the ledger {self.url}: {type(error).__name__}") from error
