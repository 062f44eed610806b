"""The MCP conformance tool, as published, against one server alone, behind `protect` and behind the reverse proxy.

The guard must change nothing for who may do everything: each scenario has the same checks with the same results.  The
tool shows no token, so whoever stands before the guard here adds one.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from did_agent.keys.jwk import public_jwk
from tests.conformance.mcp.everything_server import everything, tool_names
from tests.fakes.foreign_issuer import AuthorizationServer, signing_key, wall_clock
from tests.fakes.node_packages import environment, installed, node
from tests.fakes.serving_thread import Listener, served
from verifier.mcp import protect
from verifier.proxy.forward import Forward

HERE = Path(__file__).parent
TOOL = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
ISSUER = "https://issuer.example.com"  # never reached: its key was handed over
# Methods of the suite that are judged like tools.
METHODS: Final = (
    "completion/complete",
    "logging/setLevel",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
)
NEWEST: Final = "2026-07-28"
EXTENSION: Final = "tasks-"  # not served by the SDK, and not scored
# How each wire is chosen, and how many scenarios it has then.
WIRES: Final[dict[str, tuple[Sequence[str], int]]] = {
    "2025-06-18": (("--spec-version", "2025-06-18", "--suite", "all"), 27),
    "2025-11-25": (("--spec-version", "2025-11-25", "--suite", "all"), 33),
    NEWEST: (("--requirements", NEWEST), 40),  # the 37 that are required, and three that are not yet
}
REQUIRED: Final = 37

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

Found = dict[str, dict[str, set[str]]]  # scenario -> check -> what it came to
Place = tuple[Any, Listener]


@pytest.fixture(scope="module")
def folder() -> Path:
    return installed("mcp-conformance", HERE / "package.json")


def issuer() -> AuthorizationServer:
    return AuthorizationServer(issuer=ISSUER, clock=wall_clock, keys={"one": signing_key("P-256")})


def guarded(app: Any, resource: str, data: Path) -> Any:
    """Return an app behind the real guard, and before it somebody who shows a token for everything."""
    scopes: dict[str, Any] = {"everything": {name: {} for name in (*tool_names(), *METHODS)}}
    known = issuer()
    believed: dict[str, Any] = {"issuer": ISSUER, "subject": "user", "scopes": scopes}
    believed["jwks"] = {"keys": [{**public_jwk(known.keys["one"].public), "kid": "one"}]}
    guard = protect(app, resource=resource, issuers=[believed], data=data)

    async def showing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            shown = f"Bearer {known.token(aud=resource, scope='everything')}"
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", shown.encode())]}
        await guard(scope, receive, send)

    return showing


def alone(place: Listener, _data: Path) -> list[Place]:
    return [(everything(), place)]


def by_protect(place: Listener, data: Path) -> list[Place]:
    return [(guarded(everything(), f"{place.url}/mcp", data), place)]


def by_proxy(place: Listener, data: Path) -> list[Place]:
    behind = Listener()
    forward = Forward(f"{behind.url}/mcp", path="/mcp")
    return [(guarded(forward, f"{place.url}/mcp", data), place), (everything(), behind)]


@contextmanager
def standing(build: Callable[[Listener, Path], list[Place]], data: Path) -> Iterator[str]:
    place = Listener()
    with served(build(place, data)):
        yield f"{place.url}/mcp"


def conform(folder: Path, url: str, wire: str, output: Path) -> tuple[Found, str]:
    """Run the scenarios of a wire; return what each of their checks came to, and what was printed."""
    done = subprocess.run(
        [node(), TOOL, "server", "--url", url, "-o", str(output), *WIRES[wire][0]],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    found: Found = {}
    for file in output.glob("server-*/checks.json"):
        name = re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT.*$", r"\1", file.parent.name)
        if not name.startswith(EXTENSION):
            checks = found.setdefault(name, {})
            for check in json.loads(file.read_text("utf-8")):
                checks.setdefault(check["id"], set()).add(check["status"])
    assert found, done.stdout[-3_000:] + done.stderr[-2_000:]
    return found, done.stdout


@pytest.fixture(scope="module", params=WIRES)
def unguarded(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Found]:
    """What the server comes to on each wire without a guard."""
    output = tmp_path_factory.mktemp("alone")
    with standing(alone, output) as url:
        found, printed = conform(folder, url, request.param, output / "results")
    assert len(found) == WIRES[request.param][1]
    assert not {status for checks in found.values() for seen in checks.values() for status in seen} & {"FAILURE"}
    if request.param == NEWEST:
        assert len(re.findall(r"^  - ", listed(folder), re.MULTILINE)) == REQUIRED
        assert all(f"✓ {name}:" in printed for name in re.findall(r"^  - (\S+)$", listed(folder), re.MULTILINE))
    return request.param, found


def listed(folder: Path) -> str:
    """Return the list of scenarios that a server must pass on the newest wire."""
    done = subprocess.run(
        [node(), TOOL, "list", "--server", "--requirements", NEWEST],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.partition("Server scenarios")[2].partition("Client scenarios")[0]


@pytest.mark.parametrize("build", [by_protect, by_proxy], ids=["protect", "proxy"])
def test_a_guard_changes_nothing_for_who_may_do_everything(
    unguarded: tuple[str, Found], build: Callable[[Listener, Path], list[Place]], folder: Path, tmp_path: Path
) -> None:
    wire, expected = unguarded

    def differing(again: str) -> dict[str, Any]:
        with standing(build, tmp_path / again / "data") as url:
            found, _ = conform(folder, url, wire, tmp_path / again / "results")
        return {
            name: _unlike(expected.get(name, {}), found.get(name, {}))
            for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name)
        }

    first = differing("once")
    # Some scenarios wait for a time of their own: what a busy machine was late for is not there the second time.
    assert not first or not (first.keys() & differing("twice").keys()), first


def _unlike(expected: dict[str, set[str]], found: dict[str, set[str]]) -> dict[str, tuple[set[str], set[str]]]:
    names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return {name: (expected.get(name, set()), found.get(name, set())) for name in names}
