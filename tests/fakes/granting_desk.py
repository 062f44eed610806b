"""An issuer with people of every role and a clock that a test can turn, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import AGENT_KEY, ISSUER_URL, RESOURCE, auth, issuer

CAPABILITY: dict[str, Any] = {"resource": [RESOURCE], "tools": {"a": {}, "b": {}}}
LESS: dict[str, Any] = {"resource": [RESOURCE], "tools": {"a": {}}}
MORE: dict[str, Any] = {"resource": [RESOURCE], "tools": {"a": {}, "c": {}}}
SCOPES = {"admin": "issuer:admin", "manager": "issuer:manage", "auditor": "issuer:audit", "sponsor": "issuer:sponsor"}
TEMPLATE: dict[str, Any] = {
    "name": "menu",
    "capabilities": [CAPABILITY],
    "renewable_seconds": 3 * 86_400,
    "managers": True,
}


@dataclass
class Desk:
    http: httpx2.AsyncClient
    now: datetime = NOW
    where: Path | str = ""
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def clock(self) -> datetime:
        return self.now

    def later(self, **changes: float) -> None:
        self.now += timedelta(**changes)

    def person(self, role: str, name: str | None = None) -> dict[str, str]:
        """Return the headers of somebody with a role; each is who they are called, by default as their role."""
        subject = f"did:key:{name or role}"
        times = {"issued_at": self.now, "expires": self.now + timedelta(seconds=300)}
        return auth(SCOPES[role], subject=subject, client_id=subject, **times)

    def agent(self, key: SigningKey = AGENT_KEY) -> dict[str, str]:
        return {"Authorization": f"Bearer {present_jwt([], key=key, audience=ISSUER_URL, now=self.now)}"}

    async def ask(
        self, method: str, path: str, by: dict[str, str], body: Any = None, **headers: str
    ) -> httpx2.Response:
        more: dict[str, Any] = {} if body is None else {"json": body}
        return await self.http.request(method, path, headers={**by, **headers}, **more)

    async def do(self, path: str, by: dict[str, str], body: Any = None, *, method: str = "POST") -> dict[str, Any]:
        answer = await self.ask(method, path, by, body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def get(self, path: str, by: dict[str, str] | None = None) -> dict[str, Any]:
        return await self.do(path, by or self.person("admin"), method="GET")

    async def refused(self, path: str, by: dict[str, str], body: Any = None, *, method: str = "POST") -> str:
        answer = await self.ask(method, path, by, body)
        assert not answer.is_success, answer.text
        return str(answer.json()["code"])

    async def onboard(
        self, name: str = "stock-agent", key: SigningKey = AGENT_KEY, owner: str = "did:key:sponsor"
    ) -> dict[str, Any]:
        body = {"name": name, "sponsor": "Ops", "owner": owner}
        made = await self.do("/agents", self.person("admin"), body)
        proof = present([], key=key, audience=ISSUER_URL, challenge=made["enrolment"]["challenge"], now=self.now)
        return await self.do(f"/agents/{made['agent_id']}/enrolment", {}, {"presentation": proof})

    async def grant(self, agent: dict[str, Any], **body: Any) -> dict[str, Any]:
        path = f"/agents/{agent['agent_id']}/credentials"
        answer = await self.do(path, self.person("admin"), body or {"capabilities": [CAPABILITY]})
        return dict(answer["credential"])

    async def rotate(self, agent: dict[str, Any], old: SigningKey, new: SigningKey) -> list[dict[str, Any]]:
        """Have an agent replace its key, and return what it holds from then on."""
        said = {"successor": did_key(new.public), "agent_id": agent["agent_id"], "audience": ISSUER_URL}
        statement = make_continuity(old, now=self.now, **said)
        answer = present_jwt([], key=new, audience=ISSUER_URL, now=self.now, nonce=statement_digest(statement))
        body = {"statement": statement, "possession": answer}
        return list((await self.do(f"/agents/{agent['agent_id']}/keys", self.agent(old), body))["credentials"])

    async def recover(self, agent: dict[str, Any], new: SigningKey) -> list[dict[str, Any]]:
        """Have the owner end an agent's key and another one enrol, and return what it holds from then on."""
        path = f"/agents/{agent['agent_id']}"
        made = await self.do(f"{path}/recovery", self.person("admin"), {"reason": "lost"})
        proof = present([], key=new, audience=ISSUER_URL, challenge=made["enrolment"]["challenge"], now=self.now)
        await self.do(f"{path}/enrolment", {}, {"presentation": proof})
        return list((await self.do("/self", self.agent(new), method="GET"))["credentials"])

    async def state(self, credential: dict[str, Any]) -> str:
        return str((await self.get(f"/credentials/{credential['id']}"))["state"])

    async def with_role(self, agent: dict[str, Any], **template: Any) -> dict[str, Any]:
        """Make a template and the role `waiter` of it, give it to an agent, and return what the agent collects."""
        admin = self.person("admin")
        await self.do("/capabilities", admin, {**TEMPLATE, **template})
        await self.do("/roles", admin, {"name": "waiter", "templates": ["menu"]})
        await self.do("/roles/waiter/assign", admin, {"kind": "agent", "target": agent["agent_id"]})
        (credential,) = (await self.do("/credentials/collect", self.agent()))["credentials"]
        return dict(credential)


@asynccontextmanager
async def desk(where: Path | str) -> AsyncIterator[Desk]:
    """Open an issuer on a folder (SQLite) or a database URL."""
    turned: list[Desk] = []
    async with issuer(where, lambda: turned[0].now if turned else NOW) as (http, _):
        turned.append(Desk(http=http, where=where))
        yield turned[0]
