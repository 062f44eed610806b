"""A receiver of webhooks over real HTTP on loopback, as good-tempered as a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from did_agent.adapters.http import GuardedFetcher
from did_agent.adapters.party import listen, serving
from did_agent.adapters.sql import open_database
from issuer.adapters.sql import SQLStore
from issuer.adapters.webhooks import WebhookDelivery
from issuer.service.office import Office
from tests.fakes.granting_desk import Desk
from tests.fakes.issuer_world import HOOKS, ISSUER_URL, KEY, SilentNews, sqlite_url


@dataclass
class Receiver:
    url: str = ""
    status: int = 204
    hangs: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def hear(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        if self.hangs:
            await asyncio.sleep(30)
        return Response("internal words", status_code=self.status, headers=self.headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    socket = listen("127.0.0.1", 0)
    one = Receiver(url=f"http://127.0.0.1:{socket.getsockname()[1]}/hooks")
    app = Starlette(routes=[Route("/hooks", one.hear, methods=["POST"])])
    async with serving([(app, socket)]):
        yield one


@asynccontextmanager
async def delivering(at: Desk, poster: Any = None) -> AsyncIterator[WebhookDelivery]:
    """Open the background part of the desk's issuer; it looks when a test says so."""
    where = at.where if isinstance(at.where, str) else sqlite_url(at.where)
    engine, fetcher = open_database(where), GuardedFetcher(allow_loopback=True)
    office = Office(store=SQLStore(engine), news=SilentNews(), key=KEY, url=ISSUER_URL, clock=at.clock)
    yield WebhookDelivery(office, poster or fetcher, root=HOOKS, clock=at.clock)
    await fetcher.aclose()
    await engine.dispose()
