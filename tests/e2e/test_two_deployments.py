"""Two deployments on one machine: one line of trust lets an agent of the one in at the other, and its end lets it out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from processes import Up

from did_agent.agent import Agent
from did_agent.errors import DidAgentError

LISTED, CAP = 30.0, 60.0  # s until a line is heard everywhere, and until its end is at the latest
LAG = 5.0  # s of a busy machine
TRAVELLER = "traveller"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Return the deployment B, whose tool is called."""
    started = Up(tmp_path_factory.mktemp("there") / "data").start()
    yield started
    started.stop()


async def shown(place: str, auth: httpx2.Auth) -> bool:
    """Tell whether a tool answers who shows this."""
    async with httpx2.AsyncClient(auth=auth, trust_env=False) as http:
        try:
            async with Client(streamable_http_client(place, http_client=http)) as client:
                return not (await client.call_tool("list_menu", {})).is_error
        except Exception:
            return False


class Bearer(httpx2.Auth):
    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


async def until(wanted: bool, ask: Callable[[], Awaitable[bool]], *, within: float) -> float:
    """Return how many seconds it took until the answer was what is wanted."""
    begun = time.monotonic()
    while await ask() is not wanted:
        assert time.monotonic() - begun < within + LAG, f"not {wanted} after {within} s"
        time.sleep(0.25)
    return time.monotonic() - begun


@pytest.mark.req("VCX-05", "REV-01", "VCX-10")
async def test_one_line_lets_an_agent_of_another_company_in_and_out(up: Any, there: Any) -> None:
    place, bridge = there.resource, there.url("bridge")
    there.run("resource", "add", place, "--name", "Urban Bites", "--tool", "list_menu=See the menu")
    up.run("agent", "create", TRAVELLER, "--sponsor", "Travel")
    granted = up.json("cred", "issue", TRAVELLER, "--resource", place, "--tool", "list_menu")
    agent = Agent.load(TRAVELLER, path=up.data / "wallet")
    presented = lambda: shown(place, agent.presentation_auth(place))  # noqa: E731

    async def exchanged() -> bool:
        try:
            return await shown(place, Bearer(await agent.token(bridge, place)))
        except DidAgentError:
            return False

    assert not await presented()
    assert not await exchanged()

    did = httpx2.get(f"{up.url('issuer')}/.well-known/did-agent-issuer", trust_env=False).json()["did"]
    there.run("trust", "add", up.url("issuer"), "--resource", place, "--did", did[:-1] + "x", expected=1)
    there.run("trust", "add", up.url("issuer"), "--resource", place, "--tool", "list_menu", "--did", did)
    print(f"\nlisted: VP after {await until(True, presented, within=LISTED):.1f} s")
    print(f"listed: JWT after {await until(True, exchanged, within=LISTED):.1f} s")
    assert there.json("trust", "verify")["entries"][0]["issuer"] == did

    token = await agent.token(bridge, place)
    kept = lambda: shown(place, Bearer(token))  # noqa: E731
    assert await kept()
    there.run("trust", "remove", did)
    begun = time.monotonic()
    await until(False, kept, within=CAP)
    print(f"removed: a JWT made before ended after {time.monotonic() - begun:.1f} s")
    await until(False, presented, within=CAP)
    print(f"removed: VP refused after {time.monotonic() - begun:.1f} s")
    assert not await exchanged()

    there.run("trust", "add", up.url("issuer"), "--resource", place, "--yes")
    await until(True, presented, within=LISTED)
    await until(True, exchanged, within=LISTED)
    token = await agent.token(bridge, place)
    up.run("cred", "revoke", granted["id"], "--reason", "the journey is over")
    begun = time.monotonic()
    await until(False, presented, within=CAP)
    print(f"revoked at home: VP refused after {time.monotonic() - begun:.1f} s")
    await until(False, kept, within=CAP)
    print(f"revoked at home: a JWT made before ended after {time.monotonic() - begun:.1f} s")
    assert not await exchanged()
