"""The guards of the README, as they stand there: real servers, a real bridge, a real verified call and a refused one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from documents import ROOT, snippets
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from processes import COMMAND

BRIDGE, RESOURCE, BEHIND = "http://127.0.0.1:8400", "http://127.0.0.1:8405/mcp", "http://127.0.0.1:8409/mcp"
TOOLS = """

@server.tool()
def greet(name: str) -> str:
    return f"Hello {name}"


@server.tool()
def forget() -> str:
    return "forgotten"

"""
PLAIN = "from mcp.server.mcpserver import MCPServer\nserver = MCPServer('Greeter', log_level='CRITICAL')\n"
SERVE = "import uvicorn\nuvicorn.run(app, host='127.0.0.1', port={port}, log_level='critical')\n"
FORGET = '@app.post("/forget", dependencies=[Depends(api.tool("forget"))])\ndef forget() -> str:\n    return ""\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def guard_of(what: str) -> str:
    """Return the one snippet of the README that speaks of this."""
    found = [one.text for one in snippets(ROOT / "README.md") if what in one.text]
    assert len(found) == 1, what
    return found[0]


class Place:
    """One guarded server's addresses, an agent that holds a credential for it, and the words of the README for it."""

    def __init__(self, up: Any, folder: Path) -> None:
        self.up, self.folder, self.port, self.behind = up, folder, free_port(), free_port()
        self.resource = f"http://127.0.0.1:{self.port}/mcp"
        up.run(
            "resource", "add", self.resource, "--name", "Greeter", "--tool", "greet=Greet", "--tool", "forget=Forget"
        )
        self.agent = f"greeter-{self.port}"
        up.run("agent", "create", self.agent, "--sponsor", "README")
        up.run("cred", "issue", self.agent, "--resource", self.resource, "--tool", "greet")

    def words(self, text: str) -> str:
        for there, here in ((RESOURCE, self.resource), (BRIDGE, self.up.url("bridge")), (BEHIND, self.upstream)):
            text = text.replace(there, here)
        return text

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.behind}/mcp"

    @property
    def token(self) -> str:
        return self.up.run("token", "get", self.agent, "--resource", self.resource).stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("DID_AGENT_")}
        return {**own, "PYTHONPATH": str(ROOT), "DID_AGENT_DATA": str(self.folder / "guard")}

    @contextmanager
    def running(self, *command: str, port: int | None = None) -> Iterator[None]:
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment)
        try:
            deadline = time.monotonic() + 30
            while not answers(port or self.port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def place(up: Any, tmp_path: Path) -> Place:
    return Place(up, tmp_path)


async def told(client: Client) -> None:
    """Make a call that is allowed and one that is not."""
    async with client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["greet"]
        assert "Hello Ada" in str((await client.call_tool("greet", {"name": "Ada"})).content)
        refused = await client.call_tool("forget", {})
        assert refused.is_error
        assert "may not call forget" in str(refused.content)


async def over_http(place: Place) -> None:
    headers = {"Authorization": f"Bearer {place.token}"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
        await told(Client(streamable_http_client(place.resource, http_client=http)))
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.post(place.resource, json={})).status_code == 401


async def test_before_any_asgi_app(place: Place) -> None:
    snippet = guard_of("import protect")
    code = PLAIN + TOOLS + place.words(snippet) + SERVE.format(port=place.port)
    with place.running(sys.executable, "-c", code):
        await over_http(place)


async def test_in_fastmcp(place: Place) -> None:
    snippet = guard_of("DidAgentAuth")
    run = f"server.run(transport='http', host='127.0.0.1', port={place.port}, show_banner=False, log_level='critical')"
    with place.running(sys.executable, "-c", place.words(snippet) + TOOLS + run):
        await over_http(place)


async def test_in_fastapi(place: Place) -> None:
    code = place.words(guard_of("GuardedAPI")) + FORGET + SERVE.format(port=place.port)
    url = f"http://127.0.0.1:{place.port}"
    with place.running(sys.executable, "-c", code):
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"{url}/greet", json={"name": "Ada"})).status_code == 401
            http.headers["Authorization"] = f"Bearer {place.token}"
            assert (await http.post(f"{url}/greet", json={"name": "Ada"})).json() == "Hello Ada"
            refused = await http.post(f"{url}/forget", json={})
            assert (refused.status_code, refused.json()["code"]) == (403, "agent_not_capable")


async def test_on_standard_input_and_output(place: Place) -> None:
    code = (
        "from mcp.server.mcpserver import MCPServer\n"
        + place.words(guard_of("did_agent_stdio"))
        + TOOLS
        + "server.run()"
    )
    environment = {**place.environment, "MCP_AGENT_TOKEN": place.token}
    started = StdioServerParameters(command=sys.executable, args=["-c", code], env=environment, cwd=place.folder)
    await told(Client(stdio_client(started)))


async def test_in_any_language(place: Place) -> None:
    code = PLAIN + TOOLS + "app = server.streamable_http_app()\n" + SERVE.format(port=place.behind)
    words = place.words(guard_of("--upstream")).replace("\\\n", " ").split()
    assert words[0] == "did-agent"
    with (
        place.running(sys.executable, "-c", code, port=place.behind),
        place.running(*COMMAND, *words[1:]),
    ):
        await over_http(place)


@pytest.mark.parametrize("what", ["import protect", "DidAgentAuth", "GuardedAPI", "did_agent_stdio", "--upstream"])
def test_a_guard_is_three_lines(what: str) -> None:
    text = guard_of(what)
    guarding = (
        "verifier.",
        "protect(",
        "DidAgentAuth(",
        "GuardedAPI(",
        "api.tool(",
        "did_agent_stdio(",
        "did-agent guard",
        "--",
    )
    assert sum(any(word in line for word in guarding) for line in text.splitlines()) <= 3
