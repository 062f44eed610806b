"""Plain HTTP endpoints as guarded tools, by a FastAPI dependency."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI

from did_agent.policy.caller import VerifiedCaller
from tests.fakes import guard_world
from tests.fakes.guard_world import BRIDGE, RESOURCE, World
from verifier.frameworks import fastapi as for_fastapi
from verifier.mcp.caller import current_decision


def token(world: World, **changes: Any) -> str:
    times = {"issued_at": world.now, "expires": world.now + timedelta(seconds=300)}
    return guard_world.token(**{**times, **changes})


@asynccontextmanager
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[httpx2.AsyncClient, World]]:
    world = World(now=datetime.now(UTC).replace(microsecond=0))
    monkeypatch.setattr(for_fastapi, "compose", lambda **_options: world.guard()._parts)
    app, api = FastAPI(), for_fastapi.GuardedAPI(resource=RESOURCE, bridge=BRIDGE)
    api.protect(app)

    @app.get("/menu")
    async def menu_of(caller: Annotated[VerifiedCaller, Depends(api.tool("list_menu"))]) -> dict[str, str]:
        return {"by": caller.agent, "reason": current_decision().reason}

    @app.post("/stock")
    async def stock(
        quantity: dict[str, int], caller: Annotated[VerifiedCaller, Depends(api.tool("update_stock"))]
    ) -> dict[str, Any]:
        if quantity["quantity"] == 7:
            raise RuntimeError("the shop is on fire")
        return {"quantity": quantity["quantity"], "by": caller.agent}

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http,
    ):
        http.headers["Authorization"] = f"Bearer {token(world)}"
        yield http, world


async def test_plain_endpoints_are_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop(monkeypatch) as (http, world):
        assert (await http.get("/menu")).json() == {"by": guard_world.AGENT, "reason": "allowed"}
        assert (await http.post("/stock", json={"quantity": 3})).json()["quantity"] == 3
        too_many = await http.post("/stock", json={"quantity": 10})
        assert (too_many.status_code, too_many.json()["code"]) == (403, "arguments_refused")
        narrow = token(world, scopes=frozenset({"tool:list_menu"}))
        step_up = await http.post("/stock", json={"quantity": 3}, headers={"Authorization": f"Bearer {narrow}"})
        assert (step_up.status_code, step_up.json()["code"]) == (403, "scope_not_granted")
        assert 'scope="tool:update_stock"' in step_up.headers["www-authenticate"]
        assert [event.target for event in world.events] == ["list_menu", "update_stock", "update_stock", "update_stock"]


@pytest.mark.req("OAU-05", "LIM-01")
async def test_arguments_are_what_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop(monkeypatch) as (http, world):
        refused = [
            await http.post("/stock?quantity=3", json={"quantity": 3}),
            await http.post("/stock", content=b'{"quantity": 3, "quantity": 10}'),
            await http.post("/stock", content=b"[3]"),
            await http.post("/stock", content=b'{"quantity": ' + b" " * 300_000 + b"3}"),
            await http.get("/menu?a=1&a=2"),
        ]
        assert [answer.status_code for answer in refused] == [400, 400, 400, 413, 400]
        assert all(event.decision == "deny" for event in world.events)


async def test_nobody_gets_in_without_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop(monkeypatch) as (http, world):
        nobody = await http.get("/menu", headers={"Authorization": ""})
        assert nobody.status_code == 401
        assert len(nobody.headers.get_list("www-authenticate")) == 2
        world.silent = True
        assert (await http.get("/menu")).status_code == 503
        described = await http.get("/.well-known/oauth-protected-resource/mcp")
        assert described.json()["resource"] == RESOURCE


async def test_an_endpoint_that_fails_is_told_so_that_limits_can_be_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    undone: list[str] = []
    async with shop(monkeypatch) as (http, _world):

        async def undo(_self: Any, request_id: str, *, happened: bool = True) -> None:
            undone.append(f"{happened} {len(request_id)}")

        monkeypatch.setattr("verifier.service.Verifier.undo", undo)
        assert (await http.post("/stock", json={"quantity": 7})).status_code == 500
    assert undone == ["True 36"]
