"""An agent on a command line asks a person, who answers in their browser; real processes throughout."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from processes import COMMAND, Up

from tests.fakes.bridge_world import claims_of, form_of

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("asking") / "data").start()
    running.run("agent", "create", "night-shift", "--sponsor", "Operations")
    running.run("cred", "issue", "night-shift", "--resource", running.resource, "--tool", "list_menu")
    allow = f"{running.resource}=list_menu,create_order"
    running.run("user", "add", "casey", "--name", "Casey Lane", "--password", PASSWORD, "--allow", allow)
    yield running
    running.stop()


async def call(up: Up, token: str, tool: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(up.resource, http_client=http)) as server,
    ):
        return await server.call_tool(tool, {})


def submit(browser: httpx2.Client, path: str, fields: dict[str, str]) -> httpx2.Response:
    """Fill in the form of our own page as a browser does."""
    form = form_of(browser.get(path).text)
    origin = {"Origin": str(browser.base_url).rstrip("/"), "Content-Type": "application/x-www-form-urlencoded"}
    ticks = [("scope_item", box) for box in form.boxes] if "decision" in fields else []
    pairs = [*{**form.fields, **fields}.items(), *ticks]
    return browser.post(path, content=urlencode(pairs), headers=origin)


def look(browser: httpx2.Client) -> str:
    """Wait until the question is on the account page; return its path."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = re.search(r'href="[^"]*(/account/requests/[^"]+)"', browser.get("/account").text)
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError("no question came")


@pytest.mark.req("OAU-17")
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_person_decides_for_an_agent_without_a_browser(up: Up, decision: str) -> None:
    arguments = [
        "agent",
        "ask",
        "night-shift",
        "casey",
        "--resource",
        up.resource,
        "--message",
        "Order 4711",
        "--wait",
        "60",
    ]
    asking = subprocess.Popen(
        [*COMMAND, *arguments], env=up.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        with httpx2.Client(base_url=up.url("bridge"), trust_env=False, timeout=30) as browser:
            assert submit(browser, "/account", {"username": "casey", "password": PASSWORD}).status_code == 303
            path = look(browser)
            assert "Order 4711" in browser.get(path).text
            assert submit(browser, path, {"decision": decision}).status_code == 303
        told, said = asking.communicate(timeout=40)
    finally:
        asking.kill()
    if decision == "deny":
        assert (asking.returncode, told) == (1, "")
        assert "consent" in said
        return
    assert asking.returncode == 0, said
    claims = claims_of(told.strip())
    assert (claims["sub"], claims["scope"]) == ("casey", "tool:list_menu")
    assert claims["act"]["sub"].startswith("did:key:z6Mk")
    assert not asyncio.run(call(up, told.strip(), "list_menu")).is_error
    refused = asyncio.run(call(up, told.strip(), "create_order"))
    assert refused.is_error
    assert "may not call create_order" in refused.content[0].text
