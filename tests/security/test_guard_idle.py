"""Clients that hold connections and say nothing, or half of something, keep nobody else out of a guarded server."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from did_agent.adapters import party
from did_agent.adapters.party import listen, serving
from tests.fakes.guard_world import RESOURCE, World, call, token
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.proxy.forward import Forward

IDLE = 300  # connections
SOON = 1.0  # s a half header is waited for here
LONGER = 60  # s until a test that hangs is a failure
HALF = b"POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nX-Slow: "
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Stage:
    """The server behind a guard that is a reverse proxy; it can be told to wait."""

    port: int = 0
    world: World = field(default_factory=World)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[Connection] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        asked = json.loads((await receive())["body"])
        if asked["params"]["name"] == "update_stock":
            self.entered.set()
            await self.go_on.wait()
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"ok": True}}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    async def ask(self, http: httpx2.AsyncClient, tool: str = "list_menu", **arguments: object) -> int:
        response = await http.post(
            f"http://127.0.0.1:{self.port}/mcp",
            json=call(tool, **arguments),
            headers={"Authorization": f"Bearer {token()}"},
        )
        assert response.json().get("result") == {"ok": True}, response.text
        return response.status_code

    async def idle(self, count: int) -> list[Connection]:
        """Return so many connections, of which every second one has sent half a header."""
        held = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(count)]
        for _, writer in held[::2]:
            writer.write(HALF)
        self.held += held
        return held


@asynccontextmanager
async def staged(*, most: int) -> AsyncIterator[tuple[Stage, httpx2.AsyncClient]]:
    stage, behind, guard = Stage(), listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    stage.port = guard.getsockname()[1]
    forward = Forward(f"http://127.0.0.1:{behind.getsockname()[1]}/mcp", path="/mcp")
    metadata = ResourceMetadata(resource=RESOURCE, bridge="https://bridge.example")
    app = Guard(forward, stage.world.guard()._parts, metadata)
    async with (
        serving([(stage, behind)]),
        serving([(app, guard)], most=most),
        httpx2.AsyncClient(trust_env=False, timeout=LONGER) as http,
    ):
        yield stage, http
        for _, writer in stage.held:
            writer.close()


async def all_closed(held: list[Connection]) -> bool:
    async with asyncio.timeout(LONGER):
        for reader, _ in held:
            with suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
    return True


@pytest.mark.req("LIM-02", "LIM-03")
async def test_calls_are_answered_beside_idle_connections_and_those_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(party, "SENDING_TIMEOUT", SOON)
    async with staged(most=2 * IDLE) as (stage, http):
        held = await stage.idle(IDLE)
        assert {await stage.ask(http) for _ in range(20)} == {200}
        assert await all_closed(held)
        assert await stage.ask(http) == 200


@pytest.mark.req("LIM-03")
async def test_where_every_place_is_taken_who_waited_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(party, "SENDING_TIMEOUT", 10 * LONGER)  # nobody is closed for that
    async with staged(most=IDLE // 3) as (stage, http):
        under_way = asyncio.create_task(stage.ask(http, "update_stock", quantity=1))
        await asyncio.wait_for(stage.entered.wait(), LONGER)
        held = await stage.idle(IDLE)
        # Those who came first went when others came.
        assert await all_closed(held[: IDLE // 2])
        async with httpx2.AsyncClient(trust_env=False, timeout=LONGER) as newcomer:
            assert await stage.ask(newcomer) == 200
        # A call that is under way is no idle connection.
        stage.go_on.set()
        assert await under_way == 200


@pytest.mark.req("LIM-03")
async def test_a_connection_that_was_used_waits_from_then_on() -> None:
    async with staged(most=10) as (stage, http):
        assert await stage.ask(http) == 200
        first = list(http._transport._pool.connections)  # type: ignore[attr-defined]
        for _ in range(10):  # each time the connection of the client is younger than those of the others
            await stage.idle(6)
            assert await stage.ask(http) == 200
        assert http._transport._pool.connections == first  # type: ignore[attr-defined]


@pytest.mark.req("LIM-03")
async def test_calls_that_are_under_way_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with staged(most=3) as (stage, http):
        calls = [asyncio.create_task(stage.ask(http, "update_stock", quantity=1)) for _ in range(2)]
        await asyncio.wait_for(stage.entered.wait(), LONGER)
        while len(stage.world.events) < 2:
            await asyncio.sleep(0.01)
        refused = await http.post(f"http://127.0.0.1:{stage.port}/mcp", json=call("list_menu"))
        assert refused.status_code == 503
        stage.go_on.set()
        assert await asyncio.gather(*calls) == [200, 200]


@pytest.mark.req("LIM-03")
async def test_the_system_is_asked_for_enough_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        async with staged(most=1_500) as (stage, http):
            assert await stage.ask(http) == 200
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(1_500 + party.SPARE, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
