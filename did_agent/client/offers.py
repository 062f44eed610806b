"""Credential offers as an operator sees them: make, look at, decide, withdraw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx2

from did_agent.client.paging import pages
from did_agent.client.wire import segment, send

DEFAULT_SECONDS = 900  # until when an offer can be taken


class OffersClient:
    """Talks to one issuer about its offers."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def create(
        self,
        agent: str,
        *,
        capabilities: Sequence[Mapping[str, Any]] = (),
        template: str | None = None,
        configurations: Sequence[str] = ("agent-capability",),
        valid_seconds: int | None = None,
        max_depth: int | None = None,
        on_behalf_of: str | None = None,
        copies: int = 1,
        offer_seconds: int = DEFAULT_SECONDS,
        tx_code: bool = False,
        needs_approval: bool = False,
        person: str | None = None,
    ) -> dict[str, Any]:
        """Offer credentials to an agent, by its id or DID; the answer holds the links and the transaction code, once.

        The agent may do what `capabilities` or a `template` say.  A pending one is enrolled with the key that takes the
        offer.  With `person` it is taken with that person's token from the bridge, otherwise by whoever has the link.

        Raises: ServerRefused, PeerUnavailable.
        """
        body: dict[str, Any] = {
            "agent": agent,
            "configurations": list(configurations),
            "capabilities": [dict(capability) for capability in capabilities],
            "template": template,
            "valid_seconds": valid_seconds,
            "max_depth": max_depth,
            "on_behalf_of": on_behalf_of,
            "copies": copies,
            "offer_seconds": offer_seconds,
            "tx_code": tx_code,
            "needs_approval": needs_approval,
            "person": person,
        }
        return await self._send("POST", "/offers", json=body)

    async def offers(self, *, agent: str | None = None) -> list[dict[str, Any]]:
        """Return offers, newest first.

        Raises: ServerRefused, PeerUnavailable.
        """

        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await self._send("GET", "/offers", params=query)

        return [offer async for offer in pages(fetch, "offers", {"agent": agent})]

    async def offer(self, identifier: str) -> dict[str, Any]:
        """Return one offer.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("GET", f"/offers/{segment(identifier)}")

    async def decide(
        self, identifier: str, decision: Literal["approve", "deny", "withdraw"], *, reason: str
    ) -> dict[str, Any]:
        """Approve or deny an offer that awaits it, or withdraw one.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._send("POST", f"/offers/{segment(identifier)}/{decision}", json={"reason": reason})

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self._auth, **content)
