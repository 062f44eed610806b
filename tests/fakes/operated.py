"""A running deployment from the operator's chair: the bridge's administration with the operator's own key."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from did_agent.cli.deployment import Deployment, Urls
from verifier.demo import NAME, TOOLS


class Operated:
    """What an operator does at the bridge of a deployment (`tests/e2e/processes.py`)."""

    def __init__(self, up: Any) -> None:
        self.up = up
        self._deployment = Deployment(urls=Urls.on_ports_from(up.base), data=up.data)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send one PUT to the bridge and return its answer; `send` does it where a loop runs."""
        return asyncio.run(self.send(path, body))

    async def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        bridge = self._deployment.urls.bridge_url
        auth = self._deployment.operator_auth(bridge)
        async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http:
            answer = await http.put(bridge + path, json=body)
        assert answer.status_code == 200, answer.text
        members: dict[str, Any] = answer.json()
        return members

    async def register(self, name: str) -> dict[str, Any]:
        """Register an agent that has not enrolled yet."""
        return await self._deployment.issuer.create_agent(name=name, sponsor="Operations")

    def admit_clients(self) -> None:
        """Let programs that act for a person without being an agent use Urban Bites too."""
        self.put("/resources", {"resource": self.up.resource, "name": NAME, "tools": TOOLS, "admits": "clients"})

    def person(self, username: str, password: str, *tools: str) -> None:
        """Add a person who may use these tools at Urban Bites."""
        rights = {self.up.resource: list(tools)}
        self.put(f"/users/{username}", {"name": "Jo Smith", "password": password, "rights": rights})

    def client(self, client_id: str, **body: Any) -> str | None:
        """Register a client and return its secret, if its method has one."""
        answer = self.put(f"/clients/{client_id}", {"name": client_id, **body})
        secret = answer.get("client_secret")
        return secret if isinstance(secret, str) else None
