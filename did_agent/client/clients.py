"""Registered clients and the end of a subject's tokens, as the bridge's operators keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from did_agent.client.wire import objects_in, segment, send


class ClientsClient:
    """Talks to one bridge with an operator's rights."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def clients(self) -> list[dict[str, Any]]:
        """Return every registered client, without secrets.

        Raises: ServerRefused, PeerUnavailable.
        """
        return objects_in(await self._send("GET", "/clients"), "clients")

    async def put(self, client_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Register a client or replace it; the answer holds its new secret, once, if its method has one.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("PUT", f"/clients/{segment(client_id)}", json=dict(body))

    async def delete(self, client_id: str) -> None:
        """Delete a client; its tokens end.

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._send("DELETE", f"/clients/{segment(client_id)}")

    async def revoke_subject(self, subject: str) -> None:
        """End every token of a user or an agent.

        Raises: ServerRefused, PeerUnavailable.
        """
        named = {"format": "did", "url": subject} if subject.startswith("did:") else None
        named = named or {"format": "iss_sub", "iss": self.url, "sub": subject}
        await self._send("POST", "/revoke-subject", json={"sub_id": named})

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, **content)
