"""Delegations at the issuer: an agent gives what it hands on a status, and takes it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from did_agent.client.issuer_agent import AgentIssuerClient
from did_agent.client.paging import pages
from did_agent.client.wire import segment, send
from did_agent.clock import format_timestamp
from did_agent.credential.status import StatusEntry, parse_status_entries
from did_agent.errors import BadCredential, PeerUnavailable


@dataclass(frozen=True, slots=True)
class Delegations:
    """What one agent hands on, as its issuer keeps it."""

    issuer: AgentIssuerClient

    async def register(
        self, identifier: str, *, parent: str, subject: str, valid_until: datetime
    ) -> tuple[StatusEntry, ...]:
        """Return the places in the issuer's lists for the credential that is about to be made under this id.

        Raises: ServerRefused, PeerUnavailable.
        """
        body = {
            "id": identifier,
            "parent": parent,
            "subject": subject,
            "valid_until": format_timestamp(valid_until),
        }
        answer = await self.issuer.send("POST", "/delegations", json=body)
        try:
            return parse_status_entries(answer.get("credentialStatus"))
        except BadCredential as error:
            raise PeerUnavailable("the answer has no credentialStatus") from error

    async def revoke(self, identifier: str, *, reason: str) -> dict[str, Any]:
        """Revoke a credential that this agent made, and all that was made from it."""
        return await self.issuer.send("POST", f"/delegations/{segment(identifier)}/revoke", json={"reason": reason})

    def all(self, *, parent: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield what this agent registered, page by page."""

        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await self.issuer.send("GET", "/delegations", params=query)

        return pages(fetch, "delegations", {"parent": parent})


@dataclass(frozen=True, slots=True)
class DelegationsClient:
    """All delegations of an organisation, as an operator sees them."""

    url: str
    auth: httpx2.Auth | None = None

    def all(
        self, *, agent: str | None = None, to: str | None = None, parent: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield delegations, page by page: who handed what on to whom."""

        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await send("issuer", self.url, "GET", "/delegations", auth=self.auth, params=query)

        return pages(fetch, "delegations", {"agent": agent, "to": to, "parent": parent})

    async def revoke(self, identifier: str, *, reason: str) -> dict[str, Any]:
        """Revoke a delegation and all that was made from it."""
        path = f"/delegations/{segment(identifier)}/revoke"
        return await send("issuer", self.url, "POST", path, auth=self.auth, json={"reason": reason})
