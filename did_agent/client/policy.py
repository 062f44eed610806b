"""The bridge's policy, as its operators keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from did_agent.client.wire import objects_in, send


class PolicyClient:
    """Talks to one bridge with an operator's rights; everything raises ServerRefused and PeerUnavailable."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def version(self, number: int | None = None) -> dict[str, Any]:
        """Return a published version, or the one in force."""
        return await self._send("GET", "/policy" if number is None else f"/policy/versions/{number}")

    async def history(self) -> list[dict[str, Any]]:
        """Return what was published, the newest first."""
        return objects_in(await self._send("GET", "/policy/versions"), "versions")

    async def approve(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Approve a policy; returns its digest and everybody who has."""
        return await self._send("POST", "/policy/approvals", json={"policy": dict(policy)})

    async def publish(
        self,
        policy: Mapping[str, Any],
        *,
        cases: Sequence[Any] | None,
        note: str,
        acknowledge: bool,
        follows: int | None = None,
    ) -> dict[str, Any]:
        """Put a policy in force; returns its record."""
        body = {"policy": dict(policy), "note": note, "acknowledge": acknowledge, "follows": follows}
        return await self._send("PUT", "/policy", json=body if cases is None else {**body, "cases": list(cases)})

    async def roll_back(self, version: int, *, note: str) -> dict[str, Any]:
        """Put an earlier version in force again; returns the record of the new one."""
        return await self._send("POST", "/policy/rollback", json={"version": version, "note": note})

    async def put_groups(self, username: str, groups: Sequence[str]) -> dict[str, Any]:
        """Say which groups a person is in."""
        return await self._send("PUT", "/user-groups", json={"username": username, "groups": list(groups)})

    async def resources(self) -> list[dict[str, Any]]:
        """Return the registered resources."""
        return objects_in(await self._send("GET", "/resources"), "resources")

    async def users(self) -> list[dict[str, Any]]:
        """Return the accounts."""
        return objects_in(await self._send("GET", "/users"), "users")

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, **content)
