"""The parties, asked by HTTP with a person's own rights; the console has none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.model import Party
from did_agent.client.wire import send


class PartiesHTTP:
    """Issuer, ledger and bridge at their URLs."""

    def __init__(self, urls: Mapping[Party, str]) -> None:
        self._urls = urls

    async def ask(self, party: Party, method: str, path: str, *, token: str | None, **content: Any) -> dict[str, Any]:
        """Return the members of an answer.  Raises: ServerRefused, PeerUnavailable."""
        headers = dict(content.pop("headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await send(party, self._urls[party], method, path, headers=headers, **content)
