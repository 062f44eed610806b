"""Operators of organisations, as the bridge's operators keep them."""

from __future__ import annotations

from collections.abc import Sequence
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

    async def people(self) -> list[dict[str, Any]]:
        """Return every person with an account, with their organisation and roles."""
        return objects_in(await self._send("GET", "/users"), "users")

    async def place(self, username: str, *, organisation: str, operates: Sequence[str] = ()) -> dict[str, Any]:
        """Say whose a person is, and as what they operate it; what they held ends."""
        body = {"username": username, "organisation": organisation, "operates": list(operates)}
        return await self._send("PUT", "/user-organisations", json=body)

    async def lendings(self) -> list[dict[str, Any]]:
        """Return whose agents may act for whom."""
        return objects_in(await self._send("GET", "/lendings"), "lendings")

    async def lend(self, giver: str, taker: str) -> dict[str, Any]:
        """Let agents of one organisation act for people and agents of another."""
        return await self._send("PUT", f"/lendings/{segment(giver)}/{segment(taker)}")

    async def take_back(self, giver: str, taker: str) -> None:
        """End a lending, and the tokens that were made by it."""
        await self._send("DELETE", f"/lendings/{segment(giver)}/{segment(taker)}")

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, **content)
