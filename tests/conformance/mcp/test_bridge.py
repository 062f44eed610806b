"""The MCP conformance tool, as published, against our bridge as authorization server: metadata and the code grant."""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.cli.demo.person import sign_in_and_consent
from tests.e2e.processes import Up
from tests.fakes.node_packages import environment, installed, node
from tests.fakes.operated import Operated

HERE = Path(__file__).parent
TOOL = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
PASSWORD = secrets.token_urlsafe(12)


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    up = Up(tmp_path_factory.mktemp("conformance") / "data").start()
    operated = Operated(up)
    operated.admit_clients()
    operated.person("smith", PASSWORD, "list_menu", "create_order")
    yield operated
    up.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Run:
    """One run of the tool; the person it asks to open a page does so."""

    def __init__(self, operated: Operated, tmp_path: Path, *arguments: str, port: int) -> None:
        folder = installed("mcp-conformance", HERE / "package.json")
        self._process = subprocess.Popen(
            [
                *(node(), TOOL, "authorization", "--url", operated.up.url("bridge"), "--port", str(port)),
                *("--verbose", "-o", str(tmp_path), *arguments),
            ],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    async def consent(self) -> None:
        """Sign in and allow at the page whose address the tool prints, and bring the answer back."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if re.match(r"https?://\S+/authorize\?", line):
                url = line.strip()
                answer = await sign_in_and_consent(url, username="smith", password=PASSWORD)
                async with httpx2.AsyncClient(trust_env=False) as browser:
                    callback = httpx2.URL(url).params["redirect_uri"]
                    assert (await browser.get(callback, params=answer)).is_success

    def end(self) -> int:
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait(timeout=30)


def checks_in(folder: Path) -> dict[str, str]:
    """Return the status of each check of a run."""
    found: dict[str, str] = {}
    for file in folder.rglob("checks.json"):
        rows: list[dict[str, Any]] = json.loads(file.read_text())
        found |= {row["id"]: row["status"] for row in rows}
    return found


@pytest.mark.req("OAU-01", "OAU-04")
@pytest.mark.parametrize("names_resource", [True, False], ids=["resource", "no resource"])
async def test_the_bridge_passes_the_authorization_scenarios(
    operated: Operated, tmp_path: Path, names_resource: bool
) -> None:
    port = free_port()
    redirect = f"http://127.0.0.1:{port}/callback"
    client = f"conformance-{port}"
    await operated.send(
        f"/clients/{client}", {"name": "Conformance", "redirect_uris": [redirect], "auth_method": "none"}
    )
    chosen = ("--resource", operated.up.resource) if names_resource else ()
    run = Run(operated, tmp_path, "--client-id", client, *chosen, port=port)
    await run.consent()
    assert run.end() == 0, run.output
    assert checks_in(tmp_path) == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }
