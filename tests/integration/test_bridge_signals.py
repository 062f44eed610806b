"""Risk signals at a real bridge: who may say how risky somebody is, and how verifiers hear of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.bridge_world import RESOURCE, World, claims_of, w, world

__all__ = ["w"]


async def raise_risk(w: World, key: SigningKey, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {w.assertion(key)['client_assertion']}"}
    return await w.http.post("/signals", json={"level": 80, "seconds": 60, **body}, headers=headers)


async def told(w: World) -> list[dict[str, Any]]:
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    return [claims_of(item["set"]) for item in feed]


@pytest.mark.req("POL-03")
async def test_an_operator_raises_lists_and_clears_a_risk(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    operator = did_key(w.operator.public)
    answer = await raise_risk(w, w.operator, subject=agent.did, reason="odd calls")
    assert answer.status_code == 200, answer.text
    shown = {"subject": agent.did, "level": 80, "source": operator, "reason": "odd calls"}
    assert shown.items() <= answer.json().items()
    headers = await w.admin_headers()
    assert [row["level"] for row in (await w.http.get("/signals", headers=headers)).json()["signals"]] == [80]
    (claims,) = await told(w)
    until = int((w.clock() + timedelta(seconds=60)).timestamp())
    assert claims["sub_id"]["uri"] == agent.did
    assert claims["events"] == {
        "https://w3id.org/did-agent/event/risk-signal": {
            "reason": "a risk was signalled",
            "source": operator,
            "level": 80,
            "until": until,
        }
    }
    assert (await raise_risk(w, w.operator, subject=agent.did, level=0)).status_code == 200
    assert (await w.http.get("/signals", headers=await w.admin_headers())).json() == {"signals": []}
    assert [one["action"] for one in await w.events()].count("risk.signal") == 2


async def test_a_risk_is_over_when_its_time_is(w: World) -> None:
    assert (await raise_risk(w, w.operator, subject="smith")).status_code == 200
    w.clock.now += timedelta(seconds=60)
    assert (await w.http.get("/signals", headers=await w.admin_headers())).json() == {"signals": []}


@pytest.mark.req("POL-03")
async def test_a_risk_ends_nothing_by_itself(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    assert (await raise_risk(w, w.operator, subject=agent.did, level=100)).status_code == 200
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 200


async def test_an_agent_says_nothing_of_risks_unless_it_is_a_source(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    answer = await raise_risk(w, agent.key, subject="smith")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (await w.http.post("/signals", json={"subject": "smith", "level": 1})).status_code == 401


async def test_a_source_that_the_operator_named_may(tmp_path: Any) -> None:
    key = SigningKey.generate()
    async with world(tmp_path, signal_sources=(did_key(key.public),)) as one:
        watcher = one.enrol("watcher")
        one.issuer.agents[did_key(key.public)] = watcher
        watcher.key = key
        assert (await raise_risk(one, key, subject=one.enrol("orders").did)).status_code == 200


@pytest.mark.parametrize("body", [{"level": 101}, {"level": -1}, {"seconds": 0}, {"seconds": 2**30}, {"level": "80"}])
async def test_a_signal_is_bounded(w: World, body: dict[str, Any]) -> None:
    assert (await raise_risk(w, w.operator, subject="smith", **body)).status_code == 400


async def test_nobody_is_held_back_by_a_mistyped_name(w: World) -> None:
    assert (await raise_risk(w, w.operator, subject="smiht")).json()["code"] == "not_found"
    assert (await raise_risk(w, w.operator, subject="did:key:z6Mkx")).json()["code"] == "invalid_did"
    assert (await raise_risk(w, w.operator, subject="did:web:agents.example")).status_code == 200


async def test_an_issuer_tells_neither_risks_nor_the_end_of_tasks(w: World) -> None:
    for kind in ("task-completed", "risk-signal"):
        assert (await w.push(kind, "urn:did-agent:task:" + "A" * 43)).status_code == 400
    assert await told(w) == []
    assert (await w.push("agent-suspended", "did:key:z6Mkx")).status_code == 202
