"""The issuer as an agent sees it: each request carries a fresh proof of the agent's key."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx2

from did_agent.client.wire import send
from did_agent.clock import Clock, system_clock
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt


class PossessionAuth(httpx2.Auth):
    """Shows the issuer an empty single-use presentation with every request."""

    def __init__(self, issuer: str, key: SigningKey, *, clock: Clock = system_clock) -> None:
        self._issuer, self._key, self._clock = issuer, key, clock

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the proof."""
        proof = present_jwt([], key=self._key, audience=self._issuer, now=self._clock())
        request.headers["Authorization"] = f"Bearer {proof}"
        yield request


class AgentIssuerClient:
    """Talks to one issuer as one agent."""

    def __init__(self, url: str, key: SigningKey, *, clock: Clock = system_clock) -> None:
        self.url, self._auth = url, PossessionAuth(url, key, clock=clock)

    async def send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Return the issuer's answer.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await send("issuer", self.url, method, path, auth=self._auth, **content)
