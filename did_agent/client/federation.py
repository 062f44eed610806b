"""The bridge's trusted issuers, as its operators keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from did_agent.client.wire import objects_in, send


class FederationClient:
    """Talks to one bridge with an operator's rights."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def put(self, issuer: Mapping[str, Any]) -> dict[str, Any]:
        """Trust an issuer, or replace what it is trusted for; returns it as the bridge keeps it.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("PUT", "/trusted-issuers", dict(issuer))

    async def issuers(self) -> list[dict[str, Any]]:
        """Return every trusted issuer.

        Raises: ServerRefused, PeerUnavailable.
        """
        answer = await send("bridge", self.url, "GET", "/trusted-issuers", auth=self._auth)
        return objects_in(answer, "trusted_issuers")

    async def delete(self, issuer: str) -> None:
        """Trust an issuer no more; tokens made from its word end.

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._send("DELETE", "/trusted-issuers", {"issuer": issuer})

    async def link(self, issuer: str, subject: str, username: str) -> None:
        """Say which account is the person whom `issuer` calls `subject`.

        Raises: ServerRefused, PeerUnavailable.
        """
        await self._send("PUT", "/identities", {"issuer": issuer, "subject": subject, "username": username})

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, json=body)
