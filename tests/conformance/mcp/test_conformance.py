"""The MCP conformance tool, as published, against our agent as OAuth client: every scenario of authorization passes.

`auth` and `extensions` are run as suites on the older wire, and the whole requirement set of the newest revision, which
holds more scenarios than its suite, on the newest.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fakes.node_packages import environment, installed, node

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TOOL = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
EXTENSIONS = {
    "auth/client-credentials-jwt",
    "auth/client-credentials-basic",
    "auth/enterprise-managed-authorization",
    "auth/dpop",
    "auth/dpop-nonce",
    "auth/wif-jwt-bearer",
}
_LINE = re.compile(r"^([✓✗]) (\S+): (\d+) passed, (\d+) failed(?:, (\d+) warnings)?$", re.MULTILINE)


class Outcome(NamedTuple):
    """What a scenario came to."""

    passed: int
    failed: int
    warned: int


@pytest.fixture(scope="session")
def folder() -> Path:
    return installed("mcp-conformance", HERE / "package.json")


def conform(folder: Path, *arguments: str, output: Path) -> dict[str, Outcome]:
    """Run the client scenarios that `arguments` choose and return what each came to."""
    done = subprocess.run(
        [
            *(node(), TOOL, "client", "--command", f"{sys.executable} {HERE / 'agent_client.py'}"),
            *("--timeout", "90000", "-o", str(output), *arguments),
        ],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    found = {name: Outcome(int(ok), int(bad), int(odd or 0)) for _, name, ok, bad, odd in _LINE.findall(done.stdout)}
    assert found, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert done.returncode == 0, found
    return found


def offered(folder: Path, *, revision: str) -> set[str]:
    """Return the authorization scenarios for clients at a revision."""
    listed = subprocess.run(
        [node(), TOOL, "list", "--client"], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )
    rows = re.findall(r"- (auth/\S+) \[(.*)\]", listed.stdout)
    return {name for name, revisions in rows if revision in revisions.split(",")}


def require_clean(found: dict[str, Outcome]) -> None:
    unclean = {name: outcome for name, outcome in found.items() if outcome.failed or outcome.warned}
    assert not unclean
    assert all(outcome.passed for outcome in found.values())


@pytest.mark.req("OAU-04", "OAU-05")
def test_our_agent_meets_all_requirements_of_the_newest_revision(folder: Path, tmp_path: Path) -> None:
    found = conform(folder, "--requirements", "2026-07-28", output=tmp_path)
    require_clean(found)
    assert found.keys() >= offered(folder, revision="2026-07-28") | EXTENSIONS
    assert len(offered(folder, revision="2026-07-28")) == 25
    assert offered(folder, revision="extension") == EXTENSIONS


@pytest.mark.parametrize(
    ("chosen", "count"),
    [(("--suite", "auth", "--spec-version", "2025-11-25"), 14), (("--suite", "extensions"), 6)],
    ids=["auth", "extensions"],
)
def test_our_agent_passes_the_suites_on_the_older_wire(
    folder: Path, tmp_path: Path, chosen: tuple[str, ...], count: int
) -> None:
    found = conform(folder, *chosen, output=tmp_path)
    require_clean(found)
    assert len(found) == count
