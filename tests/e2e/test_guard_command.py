"""`did-agent guard` as an operator runs it: a process before a server that knows nothing of it, and one asked by a proxy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from processes import COMMAND, Up

from did_agent.agent import Agent

PARTY = "urban-bites"  # a key whose events the ledger takes
LONGER = 30  # s until a test that hangs is a failure
# An MCP server as its author wrote it, without any guard.
SERVER = textwrap.dedent(
    """
    import sys
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("Shop", log_level="ERROR")

    @server.tool()
    def list_items() -> str:
        "List what there is."
        return "three lamps"

    @server.tool()
    def close_shop() -> str:
        "Close the shop."
        return "closed"

    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    """
)


@dataclass
class Shop:
    """The server behind, and the guard before it."""

    up: Up
    behind: str  # URL
    resource: str  # URL of the guard
    data: Path  # the guard's own folder
    agent: Agent

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("DID_AGENT_")}

    def command(self, *options: str) -> list[str]:
        known = ("--resource", self.resource, "--bridge", self.up.url("bridge"), "--ledger", self.up.url("ledger"))
        return [*COMMAND, "--data", str(self.data), "guard", *known, *options]

    @contextmanager
    def guarding(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run a guard while the block runs."""
        process = subprocess.Popen(
            self.command(*options), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for(f"{self.resource.removesuffix('/mcp')}/.well-known/oauth-protected-resource/mcp", process)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def refused(self, *options: str) -> tuple[int, str]:
        """Run a guard that cannot start; return its exit code and what it said."""
        done = subprocess.run(
            self.command(*options), env=self.environment, capture_output=True, text=True, timeout=LONGER
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    def recorded(self, tool: str, decision: str) -> dict[str, Any]:
        """Return the event of a call, once the ledger has it."""
        deadline = time.monotonic() + LONGER
        while time.monotonic() < deadline:
            events = self.up.json("audit", "tail", "--tool", tool, "--decision", decision)["events"]
            if events:
                return dict(events[0]["event"])
            time.sleep(0.1)
        raise AssertionError("the ledger did not hear of it")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LONGER
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(process.communicate()[1])
        try:
            httpx2.get(url, trust_env=False, timeout=2)
        except httpx2.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{url} did not answer")


@pytest.fixture(scope="module")
def shop(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    port, data = free_port(), tmp_path_factory.mktemp("guard")
    (data / "keys").mkdir(mode=0o700)
    shutil.copy(up.data / "keys" / f"{PARTY}.jwk", data / "keys" / "guard.jwk")
    shutil.copy(up.data / "trust.json", data)
    resource = f"http://127.0.0.1:{free_port()}/mcp"
    tools = ("--tool", "list_items=List what there is", "--tool", "close_shop=Close the shop")
    up.run("resource", "add", resource, "--name", "Shop", *tools)
    up.run("agent", "create", "shopper", "--sponsor", "Operations")
    up.run("cred", "issue", "shopper", "--resource", resource, "--tool", "list_items")
    agent = Agent.load("shopper", path=up.data / "wallet")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/mcp", server)
        yield Shop(up=up, behind=f"http://127.0.0.1:{port}/mcp", resource=resource, data=data, agent=agent)
    finally:
        server.terminate()
        server.wait(timeout=LONGER)


def call(tool: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}


@pytest.mark.req("DEL-13", "TOK-07")
async def test_a_server_that_knows_nothing_of_it_is_guarded(shop: Shop) -> None:
    with shop.guarding("--upstream", shop.behind) as process:
        async with httpx2.AsyncClient(trust_env=False, timeout=LONGER) as nobody:
            assert (await nobody.post(shop.resource, json=call("list_items"))).status_code == 401
        async with (
            httpx2.AsyncClient(
                auth=shop.agent.auth(shop.resource, bridge=shop.up.url("bridge")), trust_env=False, timeout=LONGER
            ) as http,
            Client(streamable_http_client(shop.resource, http_client=http)) as client,
        ):
            assert [tool.name for tool in (await client.list_tools()).tools] == ["list_items"]
            done = await client.call_tool("list_items")
            assert (done.is_error, done.content[0].text) == (False, "three lamps")
            refused = await client.call_tool("close_shop")
            assert refused.is_error
            assert "no capability covers it" in refused.content[0].text
        for tool, decision in (("list_items", "allow"), ("close_shop", "deny")):
            event = shop.recorded(tool, decision)
            assert (event["action"], event["resource"], event["client_id"]) == (
                "tool.call",
                shop.resource,
                shop.agent.did,
            )
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=LONGER)
        assert process.returncode == 0
        assert printed == f"guarding {shop.behind} as {shop.resource}\n"
        assert said == "stopped\n"


@pytest.mark.req("TOK-07")
async def test_a_proxy_asks_it(shop: Shop) -> None:
    token = await shop.agent.token(shop.up.url("bridge"), shop.resource)
    with shop.guarding("--ext-authz", "--json") as process:
        async with httpx2.AsyncClient(trust_env=False, timeout=LONGER) as http:
            shown = {"Authorization": f"Bearer {token}"}
            yes = await http.post(shop.resource, json=call("list_items"), headers=shown)
            no = await http.post(shop.resource, json=call("close_shop"), headers=shown)
            nobody = await http.post(shop.resource, json=call("list_items"))
        assert (yes.status_code, yes.content) == (200, b"")
        assert "authorization" in yes.headers["x-envoy-auth-headers-to-remove"]
        assert no.json()["result"]["isError"] is True
        assert "x-envoy-auth-headers-to-remove" not in no.headers
        assert nobody.status_code == 401
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=LONGER)
        assert process.returncode == 0
        assert json.loads(printed) == {"resource": shop.resource, "upstream": "ext-authz"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "give --upstream URL, or --ext-authz"),
        (("--upstream", "http://127.0.0.1:1/mcp", "--ext-authz"), "give --upstream URL, or --ext-authz"),
        (("--upstream", "http://127.0.0.1:1/mcp", "--patience", "0"), "Invalid value for '--patience'"),
        (("--upstream", "http://127.0.0.1:1/mcp", "--surprise"), "No such option"),
    ],
)
def test_a_wrong_command_line_has_an_exit_code_of_its_own(shop: Shop, options: tuple[str, ...], words: str) -> None:
    code, said = shop.refused(*options)
    assert code == 2
    assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--upstream", "ftp://127.0.0.1/mcp"), "is no http or https URL"),
        (("--ext-authz", "--hide-tools"), "only a guard that hands requests on itself hides tools"),
        (("--ext-authz", "--bind", "127.0.0.1:x"), "is not an address to listen on"),
    ],
)
def test_what_cannot_be_is_one_clear_line(shop: Shop, options: tuple[str, ...], words: str) -> None:
    code, said = shop.refused(*options)
    first, *rest = said.splitlines()
    assert code == 1
    assert words in first
    assert all(line.startswith("hint: ") for line in rest)


def test_a_guard_is_not_put_before_itself(shop: Shop) -> None:
    code, said = shop.refused("--upstream", shop.resource)
    assert (code, "the address of the guard itself" in said) == (1, True)


def test_a_port_that_is_taken_is_one_clear_line(shop: Shop) -> None:
    port = shop.resource.removesuffix("/mcp").rsplit(":", 1)[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(port)))
        taken.listen()
        code, said = shop.refused("--upstream", shop.behind)
    first, *rest = said.splitlines()
    assert code == 1
    assert first == f"did-agent: port {port} on 127.0.0.1 is not free: Address already in use"
    assert all(line.startswith("hint: ") for line in rest)
