"""The issuer as an operator and an enrolling agent see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx2

from did_agent.client.wire import objects_in, segment, send, text_in


class IssuerClient:
    """Talks to one issuer; `auth` is needed for all but enrolment."""

    def __init__(self, url: str, *, auth: httpx2.Auth | None = None) -> None:
        self.url, self._auth = url, auth

    async def create_agent(
        self,
        *,
        name: str,
        sponsor: str,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        redirect_uris: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Register an agent; the answer holds the invitation it enrols by."""
        body = {
            "name": name,
            "sponsor": sponsor,
            "description": description,
            "metadata": dict(metadata or {}),
            "redirect_uris": list(redirect_uris),
        }
        return await self._send("POST", "/agents", json=body)

    async def enrol(self, agent_id: str, presentation: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an invitation with a proof of possession."""
        return await self._send("POST", f"/agents/{segment(agent_id)}/enrolment", json={"presentation": presentation})

    async def agents(self, /, **filters: str) -> list[dict[str, Any]]:
        """Return all agents that fit, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._send("GET", "/agents", params=filters)
            found += objects_in(page, "agents")
            if page.get("next") is None:
                return found
            filters = {**filters, "after": text_in(page, "next")}

    async def agent(self, identifier: str) -> dict[str, Any]:
        """Return one agent by its id or DID."""
        return await self._send("GET", f"/agents/{segment(identifier)}")

    async def change_agent(
        self, identifier: str, change: Literal["suspend", "resume", "retire"], *, reason: str
    ) -> dict[str, Any]:
        """Suspend, resume or retire an agent."""
        return await self._send("POST", f"/agents/{segment(identifier)}/{change}", json={"reason": reason})

    async def issue_credential(
        self,
        identifier: str,
        *,
        capabilities: Sequence[Mapping[str, Any]],
        valid_seconds: int | None = None,
        max_depth: int = 1,
        cryptosuite: str = "eddsa-jcs-2022",
    ) -> dict[str, Any]:
        """Grant capabilities to an agent; the answer holds the signed credential.

        `valid_seconds` None: as long as the organisation allows.
        """
        body: dict[str, Any] = {
            "capabilities": list(capabilities),
            "max_depth": max_depth,
            "cryptosuite": cryptosuite,
        }
        if valid_seconds is not None:
            body["valid_seconds"] = valid_seconds
        return await self._send("POST", f"/agents/{segment(identifier)}/credentials", json=body)

    async def credentials(self, /, **filters: str) -> list[dict[str, Any]]:
        """Return the newest credentials that fit."""
        return objects_in(await self._send("GET", "/credentials", params=filters), "credentials")

    async def revoke_credential(self, identifier: str, *, reason: str) -> dict[str, Any]:
        """Revoke a credential, for good."""
        return await self._send("POST", f"/credentials/{segment(identifier)}/revoke", json={"reason": reason})

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self._auth, **content)
