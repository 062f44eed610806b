"""Every snippet of the documentation runs, in the order of its page, against parties on their default ports."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT, Snippet, pages, snippets
from processes import COMMAND, Up

from did_agent.adapters.keystore import load_or_create_key
from did_agent.did.key import did_key, verification_method
from did_agent.keys.jwk import public_jwk

PRELUDES = {"README.md": "from mcp.server.mcpserver import MCPServer\nserver = MCPServer('Readme')\n"}
KNOWN_LANGUAGES = {"", "sh", "console", "python"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


RUNNABLE = [page for page in pages() if any(one.language in ("console", "python") for one in snippets(page))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which `make up` runs with its defaults."""
    folder = tmp_path_factory.mktemp("home")
    up = Up(folder / ".did-agent", base=8_400).start()
    yield folder
    up.stop()


def environment() -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("DID_AGENT_")}
    return {**own, "PYTHONPATH": str(ROOT)}


def run(snippet: Snippet, home: Path) -> None:
    where = f"{name(snippet.path)}:{snippet.line}"
    if snippet.language == "python":
        code = PRELUDES.get(name(snippet.path), "") + snippet.text
        commands = [[sys.executable, "-c", code]]
    else:
        assert snippet.commands, f"{where} holds no command"
        commands = [[*COMMAND, *shlex.split(line)[1:]] for line in snippet.commands]
        assert all(line.startswith("did-agent ") for line in snippet.commands), where
    for command in commands:
        done = subprocess.run(command, cwd=home, env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{where}\n{command[-1][:200]}\n{done.stdout}\n{done.stderr}"
        if "delete_order" in str(command[-1]):
            assert "may not call delete_order" in done.stdout


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_the_snippets_of_a_page_run_in_order(page: Path, home: Path) -> None:
    for snippet in snippets(page):
        if snippet.language in ("console", "python"):
            run(snippet, home)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_and_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), f"{name(page)} links to {target}"
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for snippet in snippets(page):
        assert snippet.language in KNOWN_LANGUAGES, f"{name(page)}:{snippet.line}"
        for used in re.findall(r"^make ([a-z]+)", snippet.text, re.MULTILINE):
            assert used in targets


@pytest.mark.parametrize("example", ["01_quickstart", "03_delegate"])
def test_an_example_runs(example: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{example}.py")],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "True" in done.stdout
    assert "False" in done.stdout


PERSON = """
import asyncio, sys
from urllib.parse import parse_qs, urlsplit
import httpx2
from did_agent.cli.demo.person import sign_in_and_consent
question = sys.argv[1]
answer = asyncio.run(sign_in_and_consent(question, username="jo", password="only for examples"))
httpx2.get(parse_qs(urlsplit(question).query)["redirect_uri"][0], params=answer, trust_env=False)
"""


def prepared(home: Path, example: str) -> subprocess.CompletedProcess[str]:
    """Run the commands that an example's first lines ask for, then the example."""
    path = ROOT / "examples" / f"{example}.py"
    person = home / "person.py"
    person.write_text(PERSON)
    there = {"DID_AGENT_USER_PASSWORD": "only for examples", "BROWSER": f"{sys.executable} {person} %s"}
    steps = [line for line in path.read_text().splitlines() if line.startswith("did-agent ")]
    assert steps
    commands = [[*COMMAND, *shlex.split(step)[1:]] for step in steps]
    for command in [*commands, [sys.executable, str(path)]]:
        done = subprocess.run(command, cwd=home, env=environment() | there, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_the_example_of_an_agent_for_a_person_runs(home: Path) -> None:
    shown = prepared(home, "04_act_for_a_person").stdout
    assert "on behalf of: jo - acting: did:key:z6Mk" in shown
    assert "may: tool:list_menu\n" in shown
    assert "falafel" in shown


def test_the_example_of_the_next_agent_runs(home: Path) -> None:
    shown = prepared(home, "05_call_the_next_agent").stdout
    assert "for the planner: True\nacting is the storekeeper: True\nmay: tool:update_stock\n" in shown
    assert "update_stock: done" in shown
    assert "may not call create_order" in shown


def known_guard(home: Path) -> dict[str, str]:
    """Make the key of the example's guard known to the bridge, as a deployment with a policy has to."""
    key = load_or_create_key(home / ".did-agent" / "keys" / "guard.jwk").public
    jwk = public_jwk(key, kid=verification_method(did_key(key)))
    (home / "greeter.jwks").write_text(json.dumps({"keys": [jwk]}))
    step = "client add greeter-guard --name Greeter --auth private_key_jwt --jwks greeter.jwks --resource"
    command = [*COMMAND, *step.split(), "http://127.0.0.1:8406/mcp"]
    subprocess.run(command, cwd=home, env=environment(), check=True, timeout=60)
    return {**environment(), "DID_AGENT_POLICY_CLIENT": "greeter-guard"}


def test_the_guard_example_answers_a_registered_agent(home: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "02_protect_an_mcp_server.py")],
        cwd=home,
        env=known_guard(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    steps = [
        'did-agent resource add http://127.0.0.1:8406/mcp --name Greeter --tool "greet=Greet somebody"',
        "did-agent agent create greeter --sponsor Docs",
        "did-agent cred issue greeter --resource http://127.0.0.1:8406/mcp --tool greet",
    ]
    client = """
import asyncio, httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from did_agent import Agent
place = "http://127.0.0.1:8406/mcp"
async def main():
    auth = Agent.load("greeter").auth(place, bridge="http://127.0.0.1:8400")
    async with httpx2.AsyncClient(auth=auth) as http, Client(streamable_http_client(place, http_client=http)) as server:
        print((await server.call_tool("greet", {"name": "Ada"})).content[0].text)
asyncio.run(main())
"""
    try:
        for step in steps:
            subprocess.run([*COMMAND, *shlex.split(step)[1:]], cwd=home, env=environment(), check=True, timeout=60)
        done = subprocess.run(
            [sys.executable, "-c", client], cwd=home, env=environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Hello Ada! did:key:z6Mk")
    finally:
        server.terminate()
        server.communicate(timeout=20)
