"""The keys an organisation signs its credentials and lists with, as its admins see and change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from did_agent.client.wire import objects_in, segment, send


@dataclass(frozen=True, slots=True)
class IssuerKeysClient:
    """Talks to one issuer with an operator's rights; everything raises ServerRefused and PeerUnavailable.

    What changes keys answers with a `proposal` where that takes two people.
    """

    url: str
    auth: httpx2.Auth | None = None

    async def all(self) -> list[dict[str, Any]]:
        """Return every key of one's organisation with its state, the oldest first."""
        return objects_in(await self._send("GET", "/issuer-keys"), "issuer_keys")

    async def rotate(self, *, reason: str) -> dict[str, Any]:
        """Publish a successor of the key that signs; it signs once every reader of the trust list can know it."""
        return await self._send("POST", "/issuer-keys", json={"reason": reason})

    async def impact(self, did: str) -> dict[str, Any]:
        """Return what the end of a key would end."""
        return await self._send("GET", f"/issuer-keys/{segment(did)}/impact")

    async def retire(self, did: str, *, reason: str) -> dict[str, Any]:
        """Believe a key no more that another one signs in place of; refused while something hangs on it."""
        return await self._send("POST", f"/issuer-keys/{segment(did)}/retire", json={"reason": reason})

    async def revoke(self, did: str, *, reason: str) -> dict[str, Any]:
        """End a key at once, with all it signed."""
        return await self._send("POST", f"/issuer-keys/{segment(did)}/revoke", json={"reason": reason})

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self.auth, **content)
