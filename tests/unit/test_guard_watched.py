"""A guard in a trace, and a guard that is asked how it is; without any library and without a network."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import httpx2
import pytest

from did_agent.adapters.observing import witnessed
from did_agent.adapters.tracing import Trace, current
from did_agent.audit.event import AuditEvent
from tests.fakes.guard_world import World, call, token
from verifier.mcp.guard import protect


class Recording(World):
    """Keeps events as the spool of a guard does."""

    async def record(self, event: AuditEvent) -> None:
        await super().record(witnessed(event))


def new() -> Trace:
    return Trace(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), state="vendor=1")


def message(trace: Trace | None, **more: object) -> dict[str, object]:
    asked = call("list_menu")
    meta = {**({} if trace is None else trace.headers()), **more}
    return {**asked, "params": {**asked["params"], "_meta": meta}}  # type: ignore[dict-item]


@pytest.mark.req("OPS-07")
@pytest.mark.parametrize("where", ["headers", "message", "both"])
async def test_a_trace_is_recorded_and_handed_on_and_that_of_the_message_comes_first(where: str) -> None:
    world, outer, inner = Recording(), new(), new()
    headers = [] if where == "message" else list(outer.headers().items())
    sent = message(None if where == "headers" else inner)
    assert (await world.send(token(), sent, headers=headers)).status_code == 200
    expected = outer if where == "headers" else inner
    (event,) = world.events
    assert (event.details["trace_id"], event.details["span_id"]) == (expected.trace_id, expected.span_id)
    handed = world.received[-1]["headers"]
    assert (handed["traceparent"], handed["tracestate"]) == (expected.headers()["traceparent"], "vendor=1")
    assert json.loads(world.received[-1]["body"]) == sent  # the message itself is never changed
    assert current() is None


@pytest.mark.req("OPS-07")
@pytest.mark.parametrize("parent", ["00-zz", 7, None, f"00-{'0' * 32}-{'b' * 16}-01", ["00"], {"a": 1}])
async def test_what_is_no_trace_is_none_and_the_call_goes_on(parent: object) -> None:
    world = Recording()
    assert (await world.send(token(), message(None, traceparent=parent))).status_code == 200
    assert "trace_id" not in world.events[0].details


@pytest.mark.req("OPS-07", "OPS-02")
async def test_a_refusal_is_in_the_trace_of_whoever_was_refused() -> None:
    world, outer = Recording(), new()
    answer = await world.send(None, call("list_menu"), headers=list(outer.headers().items()))
    assert answer.status_code == 401
    assert world.events[0].details["trace_id"] == outer.trace_id


@pytest.mark.req("OPS-09")
@pytest.mark.parametrize("probes", [True, False])
async def test_a_guard_that_hears_nobody_says_so_itself_or_leaves_the_path_to_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probes: bool
) -> None:
    monkeypatch.setenv("DID_AGENT_PROBES", str(probes))
    guard = protect(
        World().inner, resource="http://127.0.0.1:1/mcp", bridge="http://127.0.0.1:2", data=tmp_path, ledger=None
    )
    guard._parts.background = ()
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as http:
        ready, alive = await http.get("/readyz"), await http.get("/livez")
    guard._parts.spool.close()
    if not probes:
        assert (ready.status_code, alive.status_code) == (401, 401)
        return
    assert (ready.status_code, alive.status_code, alive.json()) == (503, 200, {"status": "ok"})
    parts = ready.json()["parts"]
    assert (parts["spool"], parts["revocation_feed"], parts["policy"]) == ("ok", "stale", "failed")
