"""The issuer's registry as an operator sees it: many agents, described, found, handed over, imported and stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

import httpx2

from did_agent.client.paging import pages
from did_agent.client.retrying import IDEMPOTENCY_KEY
from did_agent.client.wire import segment, send

Scope = Literal["sponsor", "template", "group", "organisation"]

MAX_ROWS: Final = 500  # of one import, so that the answer is no larger than an answer may be


@dataclass(frozen=True, slots=True)
class RegistryClient:
    """Talks to one issuer."""

    url: str
    auth: httpx2.Auth | None = None

    def search(self, /, **filters: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield agents that fit: name, prefix, text, state, sponsor, owner, tag, group, template, did."""
        return self._pages("/agents", "agents", filters)

    async def count(self, /, **filters: str | None) -> tuple[int, bool]:
        """Return how many agents fit, and whether that is exact: beyond some thousands it is "at least"."""
        query = {name: value for name, value in filters.items() if value is not None}
        page = await self._send("GET", "/agents", params={**query, "count": "true", "limit": "1"})
        return int(page["count"]), bool(page["count_exact"])

    async def describe(self, /, identifier: str, **said: Any) -> dict[str, Any]:
        """Say something else of an agent: name, description, metadata, redirect_uris, tags, groups, sponsor."""
        return await self._send("PATCH", f"/agents/{segment(identifier)}", json=said)

    async def transfer(self, identifier: str, *, owner: str, reason: str, sponsor: str | None = None) -> dict[str, Any]:
        """Hand an agent over to another operator of its organisation."""
        body = {"owner": owner, "reason": reason, **({} if sponsor is None else {"sponsor": sponsor})}
        return await self._send("POST", f"/agents/{segment(identifier)}/transfer", json=body)

    def history(self, identifier: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what happened to an agent, the newest first."""
        return self._pages(f"/agents/{segment(identifier)}/history", "history", {})

    async def impact_of_agent(self, identifier: str, change: Literal["suspend", "retire"]) -> dict[str, Any]:
        """Return what a change of an agent would end."""
        return await self._send("GET", f"/agents/{segment(identifier)}/impact", params={"change": change})

    async def impact_of_credential(self, identifier: str) -> dict[str, Any]:
        """Return what the revocation of a credential would end."""
        return await self._send("GET", f"/credentials/{segment(identifier)}/impact")

    async def import_agents(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Import at most `MAX_ROWS` agents; rows that were imported before are left alone, so it may be sent again."""
        keys = "\n".join(str(row.get("key") or row.get("name")) for row in rows)
        headers = {IDEMPOTENCY_KEY: sha256(keys.encode()).hexdigest()}  # every row has a key of its own at the issuer
        return await self._send("POST", "/agents/import", json={"rows": list(rows)}, headers=headers)

    async def put_template(self, /, name: str, *, sponsor: str, **defaults: Any) -> dict[str, Any]:
        """Write a version of a blueprint: description, metadata, redirect_uris, tags, groups."""
        return await self._send("PUT", f"/templates/{segment(name)}", json={"sponsor": sponsor, **defaults})

    async def template(self, name: str, *, version: int | None = None) -> dict[str, Any]:
        """Return a version of a blueprint, without one the current."""
        query = {} if version is None else {"version": str(version)}
        return await self._send("GET", f"/templates/{segment(name)}", params=query)

    def templates(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the current blueprints."""
        return self._pages("/templates", "templates", {})

    async def instantiate(
        self, name: str, *, count: int | None = None, names: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Register agents made from a blueprint; each comes with the invitation it enrols by."""
        body = {"names": list(names)} if count is None else {"count": count}
        made = await self._send("POST", f"/templates/{segment(name)}/instances", json=body)
        return list(made["agents"])

    async def put_group(self, name: str, *, description: str = "") -> dict[str, Any]:
        """Create a group, or say anew what it is for."""
        return await self._send("PUT", f"/groups/{segment(name)}", json={"description": description})

    def groups(self) -> AsyncIterator[dict[str, Any]]:
        """Yield groups."""
        return self._pages("/groups", "groups", {})

    async def remove_group(self, name: str) -> dict[str, Any]:
        """Remove a group nobody is in."""
        return await self._send("DELETE", f"/groups/{segment(name)}")

    def members(self, name: str, *, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield the agents of a group."""
        return self._pages(f"/groups/{segment(name)}/members", "agents", {"state": state})

    async def change_members(self, name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> dict[str, Any]:
        """Put agents into a group and take others out, by id or DID."""
        body = {"add": list(add), "remove": list(remove)}
        return await self._send("POST", f"/groups/{segment(name)}/members", json=body)

    async def kill(self, scope: Scope, target: str = "", *, reason: str) -> dict[str, Any]:
        """Stop all agents of a sponsor, a blueprint, a group or the organisation until the switch is lifted."""
        body = {"scope": scope, "target": target, "reason": reason}
        return await self._send("POST", "/kill-switches", json=body)

    async def impact_of_kill(self, scope: Scope, target: str = "") -> dict[str, Any]:
        """Return what a kill switch would stop."""
        return await self._send("GET", "/kill-switches/impact", params={"scope": scope, "target": target})

    def switches(self, *, on: bool | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield kill switches."""
        return self._pages("/kill-switches", "switches", {"on": None if on is None else str(on).lower()})

    async def lift(self, identifier: str, *, reason: str) -> dict[str, Any]:
        """Let go what a kill switch stopped."""
        return await self._send("POST", f"/kill-switches/{segment(identifier)}/lift", json={"reason": reason})

    def _pages(self, path: str, name: str, filters: Mapping[str, str | None]) -> AsyncIterator[dict[str, Any]]:
        async def fetch(query: dict[str, str]) -> dict[str, Any]:
            return await self._send("GET", path, params=query)

        return pages(fetch, name, dict(filters))

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("issuer", self.url, method, path, auth=self.auth, **content)
