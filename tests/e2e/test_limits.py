"""Three guards in three processes and one cap: whoever calls through whichever door, exactly the cap is let through."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from processes import Up

from did_agent.agent import Agent
from tests.fakes import valkey

CALLS, CAP, GUARDS = 200, 100, 3
POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
NO_POSTGRES = pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")

NO_VALKEY = pytest.mark.skipif(valkey.is_missing(), reason=valkey.REASON)

# A tiny server behind `protect`, as its author would write it.
SERVER = textwrap.dedent(
    """
    import json, os, sys, uvicorn
    from verifier.mcp import protect

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        asked = json.loads((await receive())["body"])
        result = {"content": [{"type": "text", "text": "ordered"}]}
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    guarded = protect(app, resource=sys.argv[1], bridge=os.environ["DID_AGENT_BRIDGE_URL"])
    uvicorn.run(guarded, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
    """
)


@contextmanager
def guards(up: Up, folder: Path, url: str) -> Iterator[list[str]]:
    """Run guards that share one folder, and so one key, one spool, and one file of limits unless `url` names another."""
    environment = up.environment | {
        "DID_AGENT_DATA": str(folder),
        "DID_AGENT_TRUSTED_ISSUERS": json.dumps(_issuers(up)),
    }
    environment |= {} if url is None else {"DID_AGENT_LIMITS_URL": url}
    ports = [_free_port() for _ in range(GUARDS)]
    running = [
        subprocess.Popen([sys.executable, "-c", SERVER, up.resource, str(port)], env=environment) for port in ports
    ]
    try:
        for port in ports:
            _wait_for(f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource")
        yield [f"http://127.0.0.1:{port}/mcp" for port in ports]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=20)


@contextmanager
def shared(store: str, folder: Path) -> Iterator[str | None]:
    """Yield the URL of what the guards count in; None for the file they share."""
    if store == "valkey":
        with valkey.running(folder, *valkey.DURABLE) as url:
            yield url
    else:
        yield POSTGRES if store == "postgresql" else None


@pytest.mark.req("DEL-05", "DEL-04")
@pytest.mark.parametrize(
    "store",
    ["sqlite", pytest.param("postgresql", marks=NO_POSTGRES), pytest.param("valkey", marks=NO_VALKEY)],
)
def test_of_200_calls_at_three_guards_exactly_the_cap_is_let_through(up: Up, tmp_path: Path, store: str) -> None:
    names = f"spender-{store}", f"child-{store}"
    for name in names:
        up.run("agent", "create", name, "--sponsor", "Operations")
    options = ("--resource", up.resource, "--tool", "create_order", "--max-calls", str(CAP))
    up.run("cred", "issue", names[0], *options)
    agent, child = (Agent.load(name, path=up.data / "wallet") for name in names)
    child.add_credential(agent.delegate(child.did, resource=up.resource, tools={"create_order": {}}))
    with shared(store, tmp_path) as url, guards(up, tmp_path / "guards", url) as places:
        began = time.perf_counter()
        results = asyncio.run(_call_all(up, places, agent, child))
        took = time.perf_counter() - began
        late = asyncio.run(_call_all(up, places, agent, child, calls=6))
    counted = Counter(result for _, _, result in results)
    doors = Counter((who, door) for who, door, result in results if result == "allowed")
    print(f"\n{store}: {CALLS} calls at {GUARDS} guards in {took:.2f} s: {dict(counted)}; allowed by {dict(doors)}")
    assert counted == {"allowed": CAP, "limit_reached": CALLS - CAP}
    assert len(doors) == 4, "both doors, and the child with its parent, were let through"
    assert {result for _, _, result in late} == {"limit_reached"}


async def _call_all(
    up: Up, places: list[str], agent: Agent, child: Agent, *, calls: int = CALLS
) -> list[tuple[str, str, str]]:
    tokens = {holder.did: await holder.token(up.url("bridge"), up.resource) for holder in (agent, child)}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:

        async def call(number: int) -> tuple[str, str, str]:
            who, holder = ("parent", agent) if number % 4 < 2 else ("child", child)
            door = "jwt" if number % 2 else "vp"
            shown = tokens[holder.did] if door == "jwt" else holder.present_jwt(up.resource)
            answer = await http.post(
                places[number % GUARDS],
                json={
                    "jsonrpc": "2.0", "id": number, "method": "tools/call",
                    "params": {"name": "create_order", "arguments": {}},
                },
                headers={"Authorization": f"Bearer {shown}", "Accept": "application/json, text/event-stream"},
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            meta = answer.json()["result"].get("_meta", {})
            reason: Any = meta.get("org.did-agent/decision", {"reason": "allowed"})["reason"]
            return who, door, str(reason)

        return list(await asyncio.gather(*(call(number) for number in range(calls))))


def _issuers(up: Up) -> list[str]:
    trust = json.loads((up.data / "trust.json").read_text())
    return list(trust["issuers"])


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx2.get(url, trust_env=False, timeout=2).raise_for_status()
            return
        except httpx2.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")
