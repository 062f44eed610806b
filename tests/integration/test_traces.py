"""One trace from the agent's program through an unmodified MCP client to guard, bridge, issuer and ledger."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from did_agent.agent import Agent
from did_agent.cli.demo.tools import Bearer, call
from did_agent.cli.deployment import Deployment
from did_agent.cli.up import running
from tests.fakes.otlp_receiver import Receiver, receiving

PARTIES = ("did-agent-guard", "did-agent-bridge", "did-agent-issuer", "did-agent-ledger")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as found:
        monkeypatch.setenv("DID_AGENT_TRACES_URL", found.url)
        yield found


def free_base() -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # two look at the same moment
    for base in range(39_100 + worker * 900, 41_000, 10):
        held = [socket.socket() for _ in range(7)]
        try:
            for number, one in enumerate(held):
                one.bind(("127.0.0.1", base + number))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return base
    raise RuntimeError("no free ports")


@asynccontextmanager
async def agent_in(tmp_path: Path) -> AsyncIterator[tuple[Deployment, Agent]]:
    """Run a deployment with one agent that may read the menu."""
    async with running(tmp_path / "data", free_base()) as at:
        agent = Agent.create("reader", path=at.data / "wallet")
        made = await at.issuer.create_agent(name="reader", sponsor="Ops")
        await agent.enrol(at.urls.issuer_url, made["agent_id"], made["enrolment"]["challenge"])
        capability = {"resource": [at.urls.demo_url], "tools": {"list_menu": {}}}
        issued = await at.issuer.issue_credential(made["agent_id"], capabilities=[capability])
        agent.add_credential(issued["credential"])
        yield at, agent


async def events_of(at: Deployment, trace_id: str) -> list[dict[str, object]]:
    for _ in range(40):
        events = [row["event"] for row in await at.ledger.events(limit="100")]
        found = [event for event in events if event["details"].get("trace_id") == trace_id]
        if {event["party"] for event in found} >= {"verifier", "bridge"}:
            return found
        await asyncio.sleep(0.1)
    return found


@pytest.mark.req("OPS-07")
async def test_a_call_of_an_unmodified_client_is_one_trace_through_all_parties(
    tmp_path: Path, receiver: Receiver
) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("the agent's own program")
    async with agent_in(tmp_path) as (at, agent):
        with tracer.start_as_current_span("order lunch") as span:
            token = await agent.token(at.urls.bridge_url, at.urls.demo_url)
            outcome = await call(at.urls.demo_url, Bearer(token), "list_menu", {})
        assert outcome.allowed
        trace_id = f"{span.get_span_context().trace_id:032x}"
        recorded = await events_of(at, trace_id)
        assert {(event["party"], event["action"]) for event in recorded} >= {
            ("bridge", "token.issue"),
            ("verifier", "tool.call"),
        }
        found = await asyncio.to_thread(receiver.until, trace_id, *PARTIES)
    assert {one.service for one in found} >= set(PARTIES)
    known = {one.span_id for one in found}
    appended = [one for one in found if one.name == "audit.append"]
    # What the ledger took in hangs below the span of whoever decided it.
    assert appended
    assert all(one.parent in known for one in appended)
    assert {event["details"]["span_id"] for event in recorded} <= known
    assert ("POST /mcp", 200) in {(one.name, one.attributes.get("http.response.status_code")) for one in found}
    # No secret, and nothing that was sent, is in a span: token, arguments, addresses.
    sent = b"".join(receiver.raw)
    assert token.encode() not in sent
    assert {name for one in receiver.spans for name in one.attributes} == {
        "http.request.method",
        "http.route",
        "http.response.status_code",
    }
