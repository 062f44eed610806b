"""Organisations that share a deployment, and what in them waits for a second admin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from did_agent.client.paging import pages
from did_agent.client.wire import objects_in, segment, send


@dataclass(frozen=True, slots=True)
class OrganisationsClient:
    """Talks to one issuer with an operator's rights; everything raises ServerRefused and PeerUnavailable."""

    url: str
    auth: httpx2.Auth | None = None

    async def create(self, name: str, *, title: str = "", resources: Sequence[str] = ()) -> dict[str, Any]:
        """Make an organisation, which may grant at `resources` alone; for admins of the deployment itself alone."""
        body = {"name": name, "title": title, "resources": [*resources]}
        return await self._send("POST", "/organisations", json=body)

    async def entrust(self, name: str, resources: Sequence[str]) -> dict[str, Any]:
        """Say at which resources an organisation may grant from now on; for admins of the deployment itself alone."""
        return await self._send("PUT", f"/organisations/{segment(name)}/resources", json={"resources": [*resources]})

    async def suspend(self, name: str, *, reason: str) -> dict[str, Any]:
        """Stop all its agents and refuse its operators; for admins of the deployment itself alone."""
        return await self._send("POST", f"/organisations/{segment(name)}/suspend", json={"reason": reason})

    async def resume(self, name: str, *, reason: str) -> dict[str, Any]:
        """Let it go on; what else was stopped stays stopped."""
        return await self._send("POST", f"/organisations/{segment(name)}/resume", json={"reason": reason})

    async def control(self, controls: Sequence[str]) -> dict[str, Any]:
        """Say what takes two people in one's organisation; answers with a `proposal` where that takes two itself."""
        return await self._send("PUT", "/dual-control", json={"dual_control": sorted(set(controls))})

    def proposals(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what waits for a second admin, or did, the newest first."""

        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await self._send("GET", "/proposals", params=query)

        return pages(fetch, "proposals", {})

    async def approve(self, identifier: str) -> dict[str, Any]:
        """Approve what another admin proposed; the answer is that of what is done now."""
        return await self._send("POST", f"/proposals/{segment(identifier)}/approve")

    async def reject(self, identifier: str) -> dict[str, Any]:
        """Reject a proposal, one's own too."""
        return await self._send("POST", f"/proposals/{segment(identifier)}/reject")

    async def principals(self, *, after: str | None = None, limit: int = 100) -> dict[str, Any]:
        """Return a page of who can own agents of one's organisation, and the cursor of the next."""
        following = "" if after is None else f"&after={segment(after)}"
        return await self._send("GET", f"/principals?limit={limit}{following}")

    async def name_principal(self, principal: str, sponsors: Sequence[str] = ()) -> dict[str, Any]:
        """Say that somebody can own agents, and whom they may name as sponsor beside themselves."""
        return await self._send("PUT", f"/principals/{segment(principal)}", json={"sponsors": [*sponsors]})

    async def forget_principal(self, principal: str) -> None:
        """Say that somebody can own nothing new."""
        await self._send("DELETE", f"/principals/{segment(principal)}")

    async def list(self) -> list[dict[str, Any]]:
        """Return the organisations one may know of: all for the deployment's own operators, else the one's own."""
        return objects_in(await self._send("GET", "/organisations"), "organisations")

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self.auth, **content)
