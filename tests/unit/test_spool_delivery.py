"""The guard's spool delivers everything, however large its events are."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from did_agent.encoding.strict_json import MAX_BODY, parse_object
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.guard_world import NOW, World, call, token
from verifier.adapters.spool import Spool


@pytest.mark.req("AUD-01", "LIM-01")
async def test_large_events_go_in_bodies_the_ledger_takes(tmp_path: Path) -> None:
    world = World()
    await world.send(token(), call("list_menu"))
    (event,) = world.events
    spool = Spool(tmp_path / "spool.db", clock=lambda: NOW)
    from dataclasses import replace

    for number in range(40):
        await spool.record(replace(event, id=f"urn:uuid:{number}", explanation="x" * 20_000))
    sizes, taken = [], []

    def ledger(request: httpx2.Request) -> httpx2.Response:
        sizes.append(len(request.content))
        if sizes[-1] > MAX_BODY:
            return httpx2.Response(413)
        events = parse_object(request.content)["events"]
        assert isinstance(events, list)
        taken.extend(one["id"] for one in events)
        return httpx2.Response(200)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(ledger)) as http:
        await spool.flush(http, "https://ledger.example", SigningKey.from_seed(b"s" * 32))
    assert taken == [f"urn:uuid:{number}" for number in range(40)]
    assert len(sizes) >= 4
    assert max(sizes) <= MAX_BODY
    spool.close()
