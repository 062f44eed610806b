"""The register's word on an agent is remembered for a moment; nothing that matters waits for that moment to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.bridge_world import RESOURCE, Actor, World, capability, world

MAX_AGE = 2


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, registry_max_age=MAX_AGE) as running:
        await running.put_resource()
        yield running


async def ask(w: World, agent: Actor) -> int:
    return int((await w.client_credentials(agent.key, resource=RESOURCE)).status_code)


async def test_the_register_is_not_asked_twice_in_a_moment(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    asked = len(w.issuer.tokens_seen)
    assert [await ask(w, agent) for _ in range(3)] == [200, 200, 200]
    assert len(w.issuer.tokens_seen) == asked + 1
    w.clock.forward(MAX_AGE)
    assert await ask(w, agent) == 200
    assert len(w.issuer.tokens_seen) == asked + 2


async def test_an_outage_of_the_register_is_noticed_once_the_moment_is_over(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    assert await ask(w, agent) == 200
    w.issuer.is_away = True
    assert await ask(w, agent) == 200
    w.clock.forward(MAX_AGE)
    assert await ask(w, agent) == 503


async def test_what_was_granted_since_counts_at_once(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    assert await ask(w, agent) == 200
    form = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "tool:create_order"}
    assert (await w.token({**form, **w.assertion(agent.key)})).status_code == 400
    w.grant(agent, capability("create_order"))
    assert (await w.token({**form, **w.assertion(agent.key)})).status_code == 200


@pytest.mark.req("DEL-10")
@pytest.mark.parametrize("kind", ["credential-revoked", "agent-suspended", "agent-retired"])
async def test_what_ended_is_refused_at_once_though_remembered(w: World, kind: str) -> None:
    agent = w.agent("stock", "list_menu")
    assert await ask(w, agent) == 200
    await w.push(kind, agent.held[0]["id"] if kind == "credential-revoked" else agent.did)
    assert await ask(w, agent) == 401


@pytest.mark.req("DEL-10")
async def test_a_suspension_nobody_announced_is_found_once_the_moment_is_over(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    assert await ask(w, agent) == 200
    agent.state = "suspended"
    w.clock.forward(MAX_AGE)
    assert await ask(w, agent) == 401
    w.clock.forward(-1)  # whoever is not active is not remembered
    assert await ask(w, agent) == 401


async def test_a_client_that_proves_nothing_is_refused_once_and_spends_once(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    assert await ask(w, agent) == 200
    form = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(agent.key)}
    assert (await w.token(form)).status_code == 200
    replayed = await w.token(form)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")
    assert [event["decision"] for event in await w.events()][-1] == "deny"
