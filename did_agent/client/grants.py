"""Grants: many at once, templates and roles, requests and their decisions, as an operator and as an agent see them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import httpx2

from did_agent.client.issuer_agent import AgentIssuerClient
from did_agent.client.paging import pages
from did_agent.client.retrying import IDEMPOTENCY_KEY
from did_agent.client.wire import objects_in, segment, send

Kind = Literal["agent", "group", "template"]
Decision = Literal["approve", "deny", "withdraw"]
Document = dict[str, Any]


class GrantsClient:
    """Talks to one issuer about what agents are granted; every method raises ServerRefused and PeerUnavailable."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def issue(self, /, agent: str, **grant: Any) -> Document:
        """Grant `capabilities` or a `template` to an agent; sent again when no answer comes, and done once."""
        path = f"/agents/{segment(agent)}/credentials"
        answer = await self._send("POST", path, json=grant, headers=_once())
        return dict(answer["credential"])

    async def issue_many(self, entries: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Grant to up to 500 agents, all or none; sent again when no answer comes, and done once."""
        body = {"entries": [dict(entry) for entry in entries]}
        return objects_in(await self._send("POST", "/credentials/bulk", json=body, headers=_once()), "credentials")

    async def change(self, identifier: str, change: Literal["suspend", "resume"], *, reason: str) -> Document:
        """Suspend a credential and what it was renewed to, or take that back."""
        return await self._send("POST", f"/credentials/{segment(identifier)}/{change}", json={"reason": reason})

    async def entitlements(self, agent: str) -> list[Document]:
        """Return what an agent's roles give it."""
        return objects_in(await self._send("GET", f"/agents/{segment(agent)}/entitlements"), "entitlements")

    async def collect_for(self, agent: str) -> list[Document]:
        """Issue what an agent's roles give it and it does not hold."""
        return objects_in(await self._send("POST", f"/agents/{segment(agent)}/credentials/collect"), "credentials")

    async def put_capability(self, /, name: str, capabilities: Sequence[Mapping[str, Any]], **says: Any) -> Document:
        """Add a capability template, or its next version."""
        body = {"name": name, "capabilities": [dict(one) for one in capabilities], **says}
        return await self._send("POST", "/capabilities", json=body)

    async def capability(self, name: str) -> Document:
        """Return the newest version of a capability template."""
        return await self._send("GET", f"/capabilities/{segment(name)}")

    def capabilities(self) -> AsyncIterator[Document]:
        """Yield the newest versions of all capability templates."""
        return self._pages("/capabilities", "capabilities")

    async def withdraw_capability(self, name: str, *, reason: str) -> Document:
        """Withdraw a capability template and revoke what came from it."""
        return await self._send("POST", f"/capabilities/{segment(name)}/withdraw", json={"reason": reason})

    async def granting_policy(self) -> Document:
        """Return what managers may grant, and how long credentials live at most."""
        return await self._send("GET", "/granting-policy")

    async def put_granting_policy(self, /, **says: Any) -> Document:
        """Decide what managers may grant; what is not said is as strict as can be."""
        return await self._send("PUT", "/granting-policy", json=says)

    async def learn_tools(self, resource: str, tools: Mapping[str, Mapping[str, Any]]) -> Document:
        """Say which tools a resource has, for those who fill in forms."""
        body = {"resource": resource, "tools": {name: dict(tool) for name, tool in tools.items()}}
        return await self._send("PUT", "/known-tools", json=body)

    async def form(self, name: str, *, resource: str | None = None) -> Document:
        """Return the description of a form."""
        query = {} if resource is None else {"resource": resource}
        return await self._send("GET", f"/forms/{segment(name)}", params=query)

    async def put_role(self, name: str, templates: Sequence[str], *, description: str = "") -> Document:
        """Create a role, or change what is in it; what came from templates it has no more is revoked."""
        body = {"name": name, "templates": list(templates), "description": description}
        return await self._send("POST", "/roles", json=body)

    def roles(self) -> AsyncIterator[Document]:
        """Yield all roles."""
        return self._pages("/roles", "roles")

    async def remove_role(self, name: str, *, reason: str) -> Document:
        """Remove a role and revoke what came from it."""
        return await self._send("POST", f"/roles/{segment(name)}/remove", json={"reason": reason})

    def assignments(self, role: str) -> AsyncIterator[Document]:
        """Yield who has a role."""
        return self._pages(f"/roles/{segment(role)}/assignments", "assignments")

    async def assign(self, role: str, kind: Kind, target: str) -> Document:
        """Give a role to an agent, a group or all made from a template of agents."""
        return await self._send("POST", f"/roles/{segment(role)}/assign", json={"kind": kind, "target": target})

    async def unassign(self, role: str, kind: Kind, target: str, *, reason: str) -> Document:
        """Take a role away and revoke what came from it."""
        body = {"kind": kind, "target": target, "reason": reason}
        return await self._send("POST", f"/roles/{segment(role)}/unassign", json=body)

    async def request(self, /, agent: str, *, reason: str, **wanted: Any) -> Document:
        """Ask for `capabilities`, a `template` or a `role` of an agent."""
        return await self._send("POST", "/requests", json={"agent": agent, "reason": reason, **wanted})

    def requests(self, *, agent: str | None = None, state: str | None = None) -> AsyncIterator[Document]:
        """Yield requests, newest first."""
        return self._pages("/requests", "requests", agent=agent, state=state)

    async def show_request(self, identifier: str) -> Document:
        """Return a request, with the credential that came of it."""
        return await self._send("GET", f"/requests/{segment(identifier)}")

    async def decide(self, /, identifier: str, decision: Decision, *, reason: str, **less: Any) -> Document:
        """Approve a request or `less` of it, deny it, or take one's own back."""
        return await self._send("POST", f"/requests/{segment(identifier)}/{decision}", json={"reason": reason, **less})

    def credentials(self, *, agent: str | None = None, state: str | None = None) -> AsyncIterator[Document]:
        """Yield credentials, newest first: of one agent, by id or DID, and in one state."""
        return self._pages("/credentials", "credentials", agent=agent, state=state)

    def _pages(self, path: str, name: str, **filters: str | None) -> AsyncIterator[Document]:
        async def fetch(query: dict[str, str]) -> Document:
            return await self._send("GET", path, params=query)

        return pages(fetch, name, filters)

    async def _send(self, /, method: str, path: str, **content: Any) -> Document:
        return await send("issuer", self.url, method, path, auth=self._auth, **content)


class OwnGrants:
    """What one agent asks for and takes for itself; every method raises ServerRefused and PeerUnavailable."""

    def __init__(self, issuer: AgentIssuerClient) -> None:
        self._issuer = issuer

    async def collect(self) -> list[Document]:
        """Return credentials for what this agent's roles give and it does not hold, or not for much longer."""
        return objects_in(await self._issuer.send("POST", "/credentials/collect"), "credentials")

    async def renew(self, identifier: str, *, end_old: bool = False) -> Document:
        """Return the credential after one of its own, in the last third of its life; asked again, the same one."""
        body = {"end_old": end_old}
        answer = await self._issuer.send("POST", f"/credentials/{segment(identifier)}/renew", json=body)
        return dict(answer["credential"])

    async def request(self, *, reason: str, **wanted: Any) -> Document:
        """Ask for `capabilities`, a `template` or a `role`."""
        return await self._issuer.send("POST", "/requests", json={"reason": reason, **wanted})

    async def show_request(self, identifier: str) -> Document:
        """Return a request of its own, with the credential that came of it."""
        return await self._issuer.send("GET", f"/requests/{segment(identifier)}")

    async def withdraw(self, identifier: str, *, reason: str) -> Document:
        """Take a request back."""
        return await self._issuer.send("POST", f"/requests/{segment(identifier)}/withdraw", json={"reason": reason})

    def requests(self) -> AsyncIterator[Document]:
        """Yield its own requests, newest first."""

        async def fetch(query: dict[str, str]) -> Document:
            return await self._issuer.send("GET", "/requests", params=query)

        return pages(fetch, "requests", {})


def _once() -> dict[str, str]:
    return {IDEMPOTENCY_KEY: secrets.token_urlsafe(18)}
