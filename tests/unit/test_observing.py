"""Traces that are read and handed on, counts that stay bounded, and readiness that names its parts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from did_agent.adapters.metrics import DECISIONS, MAX_SERIES, READY, SECONDS, Meter, Metric, exposition
from did_agent.adapters.observing import Observer, witnessed
from did_agent.adapters.readiness import WORDS, Part, Readiness, part
from did_agent.adapters.tracing import Trace, current, following, parse_trace, trace_in, traces_in
from did_agent.adapters.web import harden
from did_agent.audit.event import MAX_DETAILS, AuditEvent
from did_agent.errors import StoreUnavailable

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def event(**details: str) -> AuditEvent:
    texts: dict[str, Any] = dict.fromkeys(
        ("principal", "principal_kind", "client_id", "target", "resource", "argument_digest", "policy", "token_id"),
    )
    return AuditEvent(
        **texts,
        id="urn:uuid:1",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        source="did:key:z",
        party="bridge",
        actors=(),
        action="token.issue",
        decision="allow",
        reason="allowed",
        explanation="x",
        credential_ids=(),
        evidence=None,
        request_id=None,
        details=details,
    )


@pytest.mark.req("OPS-07")
@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT[:-1],
        PARENT.upper(),
        PARENT.replace("a", "0"),
        PARENT.replace("b", "0"),
        "ff" + PARENT[2:],
        PARENT + "-more",
        PARENT + "\n",
        " " + PARENT,
        None,
        7,
    ],
)
def test_a_parent_that_is_none_counts_as_none(parent: object) -> None:
    assert parse_trace(parent) is None
    assert parse_trace(PARENT) == Trace(trace_id="a" * 32, span_id="b" * 16)


@pytest.mark.req("OPS-07")
def test_a_newer_version_is_read_as_far_as_it_is_known_and_a_bad_state_is_dropped() -> None:
    assert parse_trace("01" + PARENT[2:] + "-more") == parse_trace(PARENT)
    assert parse_trace(PARENT, "v=1").headers() == {"traceparent": PARENT, "tracestate": "v=1"}  # type: ignore[union-attr]
    for state in ("x" * 513, "a\nb", "\u00e4", 7):
        assert parse_trace(PARENT, state).headers() == {"traceparent": PARENT}  # type: ignore[union-attr]
    twice = [(b"traceparent", PARENT.encode())] * 2
    assert trace_in(twice) is None
    assert trace_in([*twice[:1], (b"tracestate", b"a=1"), (b"TraceState", b"b=2")]).state == "a=1,b=2"  # type: ignore[union-attr]


@pytest.mark.req("OPS-07")
def test_what_is_recorded_in_a_trace_says_so_and_is_found_by_it() -> None:
    assert current() is None
    assert witnessed(event(grant="x")).details == {"grant": "x"}
    trace = Trace(trace_id="c" * 32, span_id="d" * 16)
    with following(trace):
        seen = witnessed(event(grant="x", task="t"))
        full = event(**{f"n{number}": "x" for number in range(MAX_DETAILS)})
        assert witnessed(full) is full
    assert seen.details == {"grant": "x", "task": "t", "trace_id": "c" * 32, "span_id": "d" * 16}
    assert list(traces_in(seen.canonical())) == [trace]
    assert list(traces_in(event(explanation='"span_id":"').canonical())) == []


@pytest.mark.req("OPS-04")
async def test_a_metric_has_so_many_series_and_no_more() -> None:
    meter = Meter("bridge")
    for number in range(MAX_SERIES + 500):
        meter.add(DECISIONS, "token.issue", "deny", f"reason-{number}")
    families = {one.name: one for one in text_string_to_metric_families((await exposition([meter])).decode())}
    samples = families["did_agent_decisions"].samples
    assert len(samples) == MAX_SERIES + 1
    assert sum(sample.value for sample in samples) == MAX_SERIES + 500
    assert samples[-1].labels == {"party": "bridge", "action": "other", "decision": "other", "reason": "other"}


@pytest.mark.req("OPS-01", "OPS-04")
async def test_an_exposition_is_read_as_it_was_meant_whatever_is_in_it() -> None:
    meter, odd = Meter("guard"), Metric("did_agent_odd", "gauge", "Odd", ("name",))
    meter.read(odd, lambda: {('a"b\\c\nd',): 2.5})
    for seconds in (0.0005, 0.3, 99.0):
        meter.time(SECONDS, "/token", seconds=seconds)

    async def fails() -> dict[tuple[str, ...], float]:
        raise StoreUnavailable("away")

    meter.read(READY, fails)
    text = (await exposition([meter, Meter("bridge")])).decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert families["did_agent_odd"].samples[0].labels["name"] == 'a"b\\c\nd'
    counts = {one.labels.get("le"): one.value for one in families["did_agent_http_request_seconds"].samples}
    assert (counts["0.001"], counts["0.5"], counts["10.0"], counts["+Inf"]) == (1, 2, 2, 3)
    assert "did_agent_ready" not in families  # what cannot be had is left out, the rest is shown
    assert len(families["did_agent_build_info"].samples) == 2


async def well() -> str:
    return "ok"


@pytest.mark.req("OPS-09")
@pytest.mark.parametrize("needed", [True, False])
async def test_the_part_that_fails_is_named_and_why_is_not_said(needed: bool) -> None:
    async def away() -> str:
        raise StoreUnavailable("postgresql://user:hunter2@db/x refused")

    parts = (Part(name="database", look=away, needed=needed), Part(name="signing_key", look=well))
    report = await Readiness(parts=parts).report()
    assert (report.status, report.word) == ((503, "failing") if needed else (200, "degraded"))
    assert report.members()["parts"] == {"database": "failed", "signing_key": "ok"}
    assert b"hunter2" not in report.body()
    assert set(report.parts.values()) <= set(WORDS)


@pytest.mark.req("OPS-09", "LIM-02")
async def test_a_part_that_hangs_is_waited_for_a_bounded_time_and_many_cause_one_look() -> None:
    looks = 0

    async def hangs() -> str:
        nonlocal looks
        looks += 1
        await asyncio.sleep(60)
        return "ok"

    ready = Readiness(parts=(Part(name="database", look=hangs), Part(name="log", look=well)), patience=0.02)
    async with asyncio.timeout(5):
        reports = await asyncio.gather(*(ready.report() for _ in range(50)))
    assert looks == 1
    assert {one.status for one in reports} == {503}
    assert reports[0].parts == {"database": "slow", "log": "ok"}


async def test_what_is_well_again_is_said_to_be_well() -> None:
    states = [False, True]
    ready = Readiness(parts=(part("revocation_feed", lambda: states.pop(0), "stale"),), kept=0.0)
    assert [(await ready.report()).word for _ in range(2)] == ["failing", "ok"]


@pytest.mark.req("OPS-04")
async def test_paths_and_methods_that_callers_choose_are_no_labels() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    observer = Observer("bridge", shows_metrics=True)
    transport = httpx2.ASGITransport(app=harden(app, observer=observer))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for path in ("/did:key:z6Mk", "/a", "/b"):
            await http.request("GREET", path)
        text = (await http.get("/metrics")).text
    assert 'did_agent_http_requests_total{party="bridge",method="other",route="other",status="404"} 3' in text
    assert "z6Mk" not in text
