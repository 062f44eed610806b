"""OAuth clients that are no agents: one that publishes its document on loopback, others that an operator registers."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from did_agent.adapters.party import listen, serving
from tests.fakes.bridge_world import REDIRECT, RESOURCE, TOOLS, Browser, Question, World, question


@dataclass(slots=True)
class Publisher:
    """A web site with the document of one client, and some that are not one."""

    url: str
    changes: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    fetches: int = 0

    @property
    def client_id(self) -> str:
        return f"{self.url}/client.json"

    async def document(self, _request: Request) -> Response:
        self.fetches += 1
        members = {"client_id": self.client_id, "client_name": "Notebook", "redirect_uris": [REDIRECT], **self.changes}
        kept = {name: value for name, value in members.items() if value is not None}
        return JSONResponse(kept, status_code=self.status, headers=self.headers)

    async def elsewhere(self, _request: Request) -> Response:
        return RedirectResponse(self.client_id)


@asynccontextmanager
async def publisher() -> AsyncIterator[Publisher]:
    listener = listen("127.0.0.1", 0)
    it = Publisher(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = Starlette(routes=[Route("/client.json", it.document), Route("/moved.json", it.elsewhere)])
    async with serving([(app, listener)]):
        yield it


async def open_to_clients(w: World, **changes: Any) -> None:
    """Let programs without an agent identity ask for tokens for the resource."""
    tools = {tool: f"may {tool}" for tool in TOOLS}
    body = {"resource": RESOURCE, "name": "Urban Bites", "tools": tools, "admits": "clients", **changes}
    answer = await w.http.put("/resources", json=body, headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text


async def register(w: World, client_id: str, **changes: Any) -> str:
    """Register a client; return its secret, or nothing."""
    body = {"name": "Legacy", "redirect_uris": [REDIRECT], "auth_method": "client_secret_basic", **changes}
    answer = await w.http.put(f"/clients/{client_id}", json=body, headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text
    return str(answer.json().get("client_secret", ""))


def asked(client_id: str, **changes: str | None) -> Question:
    """Return an authorization request of a client that names no actor."""
    someone: Any = type("Named", (), {"did": client_id})
    return question(someone, **{"requested_actor": None, **changes})


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def code(w: World, asking: Question, **consent: Any) -> str:
    return (await Browser(w).consent(asking.path, **consent))["code"]


async def redeem(
    w: World, asking: Question, value: str, *, headers: Mapping[str, str] | None = None, **form: str
) -> httpx2.Response:
    fields = {
        "grant_type": "authorization_code",
        "code": value,
        "code_verifier": asking.verifier,
        "redirect_uri": REDIRECT,
        **form,
    }
    return await w.post("/token", fields, **(headers or {}))
