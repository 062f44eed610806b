"""The bridge's signing keys, as its operators see and change them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2

from did_agent.client.wire import objects_in, send


class SigningKeysClient:
    """Talks to one bridge with an operator's rights."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def keys(self) -> list[dict[str, Any]]:
        """Return every key with its state.

        Raises: ServerRefused, PeerUnavailable.
        """
        answer = await send("bridge", self.url, "GET", "/signing-keys", auth=self._auth)
        return objects_in(answer, "signing_keys")

    async def rotate(self, algorithm: str, *, reason: str) -> dict[str, Any]:
        """Publish the successor of the key that signs; returns it.

        Raises: ServerRefused, PeerUnavailable.
        """
        body = {"algorithm": algorithm, "reason": reason}
        return await send("bridge", self.url, "POST", "/signing-keys", auth=self._auth, json=body)

    async def revoke(self, kid: str, *, reason: str) -> None:
        """End a key at once, with every token it signed.

        Raises: ServerRefused, PeerUnavailable.
        """
        path = f"/signing-keys/{quote(kid, safe='')}/revoke"
        await send("bridge", self.url, "POST", path, auth=self._auth, json={"reason": reason})
