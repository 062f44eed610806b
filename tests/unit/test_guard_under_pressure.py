"""Records under pressure: floods of strangers are counted, the last room is kept for what only reads."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from did_agent.errors import AuditUnavailable, NotAuthenticated
from tests.fakes.guard_world import NOW, World, call, token
from verifier import parts as parts_of_guards
from verifier.gates import RoomForTheRecord
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard, protect
from verifier.refusals import MOST, Refusals


def test_in_quiet_times_each_refusal_has_its_own_record() -> None:
    refusals = Refusals()
    assert [refusals.take(NOW + timedelta(seconds=at), is_pressed=False) for at in range(5)] == [0] * 5


@pytest.mark.req("AUD-01", "LIM-01")
def test_a_flood_is_counted_and_the_next_record_says_how_many() -> None:
    refusals = Refusals()
    taken = [refusals.take(NOW, is_pressed=False) for _ in range(MOST + 200)]
    assert taken == [0] * MOST + [None] * 200
    assert refusals.take(NOW + timedelta(seconds=1), is_pressed=False) == 200
    assert refusals.take(NOW + timedelta(seconds=1), is_pressed=False) == 0
    assert refusals.take(NOW + timedelta(seconds=2), is_pressed=True) == 0
    assert refusals.take(NOW + timedelta(seconds=2), is_pressed=True) is None


@pytest.mark.req("AUD-01")
async def test_the_records_of_a_flood_say_how_many_were_left_out() -> None:
    world = World()
    verifier = world.verifier()
    for _ in range(MOST + 7):
        await verifier.refuse(NotAuthenticated("no Authorization header"), action="resource.access", request_id="r")
    assert len(world.events) == MOST
    world.now += timedelta(seconds=1)
    await verifier.refuse(NotAuthenticated("no Authorization header"), action="resource.access", request_id="r")
    assert world.events[-1].details == {"refused_unrecorded_before": "7"}
    assert verifier.recorder.tally.refusals["not_authenticated"] == MOST + 8


@pytest.mark.req("AUD-01")
async def test_when_room_is_scarce_only_what_reads_is_let_through() -> None:
    world = World()
    room = RoomForTheRecord(is_pressed=lambda: True, only_reads=frozenset({"list_menu"}).__contains__)
    parts = world.guard()._parts
    parts.verifier = replace(parts.verifier, gates=(room,))
    guard = Guard(world.inner, parts, ResourceMetadata(resource="https://mcp.example/mcp", bridge="https://b.example"))
    assert (await world.send(token(), call("list_menu"), guard=guard)).status_code == 200
    written = await world.send(token(), call("update_stock", quantity=1), guard=guard)
    assert (written.status_code, written.json()["code"]) == (503, AuditUnavailable.code)
    assert len(world.received) == 1
    assert [(event.target, event.decision, event.reason) for event in world.events] == [
        ("list_menu", "allow", "allowed"),
        ("update_stock", "deny", AuditUnavailable.code),
    ]


@pytest.mark.req("REV-01", "OPS-04")
async def test_a_guard_shows_its_counts_and_how_old_its_news_is(tmp_path: Path) -> None:
    guard = protect(
        World().inner,
        resource="http://127.0.0.1:1/mcp",
        bridge="http://127.0.0.1:2",
        data=tmp_path,
        metrics_path="/metrics",
    )
    guard._parts.background = ()
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as http:
        assert (await http.post("/mcp", json=call("list_menu"))).status_code == 401
        shown = await http.get("/metrics")
        assert 'did_agent_guard_refusals_total{party="guard",reason="not_authenticated"} 1' in shown.text
        assert 'did_agent_guard_events_waiting{party="guard"} 1' in shown.text
        assert "revocation_age" not in shown.text
        guard._parts.feed._heard = guard._parts.verifier.clock() - timedelta(seconds=7)
        again = (await http.get("/metrics")).text
    (age,) = re.findall(r"^did_agent_guard_revocation_age_seconds\S* (\S+)$", again, re.MULTILINE)
    assert 7 <= float(age) < 12
    guard._parts.spool.close()


async def test_work_beside_the_guard_that_ends_is_begun_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parts_of_guards, "AGAIN", 0.0)
    begun = 0
    enough = asyncio.Event()

    async def fails() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            enough.set()
        raise ValueError("by surprise")

    parts = World().guard()._parts
    parts.background = (fails,)
    async with parts.running():
        await asyncio.wait_for(enough.wait(), 5)
    assert "begun again" in caplog.text
