"""Operators of organisations, as the bridge's operators keep them."""

from __future__ import annotations

from typing import Any

import httpx2

from did_agent.client.wire import objects_in, segment, send


class OperatorsClient:
    """Talks to one bridge with an operator's rights; everything raises ServerRefused and PeerUnavailable."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def operators(self) -> list[dict[str, Any]]:
        """Return every operator of an organisation."""
        return objects_in(await self._send("GET", "/operators"), "operators")

    async def put(self, did: str, *, name: str, organisation: str, role: str) -> dict[str, Any]:
        """Add an operator, or say what else it may."""
        body = {"name": name, "organisation": organisation, "role": role}
        return await self._send("PUT", f"/operators/{segment(did)}", json=body)

    async def remove(self, did: str) -> None:
        """Remove an operator; tokens it holds end."""
        await self._send("DELETE", f"/operators/{segment(did)}")

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, **content)
