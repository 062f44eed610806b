"""`did-agent doctor`: finds what is wrong and says what to do about it."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.keystore import load_or_create_key
from did_agent.cli import doctor as looks
from did_agent.clock import system_clock
from tests.fakes.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def findings(machine: Machine) -> dict[str, dict[str, Any]]:
    shown = machine.run("doctor", "--json")
    assert shown.exit_code == 1  # no servers run in these tests
    return {one["what"]: one for one in json.loads(shown.stdout)["findings"]}


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIDGE", "ISSUER", "LEDGER", "DEMO"):
        monkeypatch.setenv(f"DID_AGENT_{name}_URL", "http://127.0.0.1:1")


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.req("KEY-01")
def test_doctor_finds_an_open_folder_an_open_key_and_broken_trust(machine: Machine) -> None:
    before = findings(machine)
    local = ("Python", "data folder", "trust.json", "key operator", "key issuer")
    assert all(before[what]["ok"] for what in local)
    machine.data.chmod(0o755)
    (machine.data / "keys" / "issuer.jwk").chmod(0o644)
    (machine.data / "trust.json").write_text("{")
    after = findings(machine)
    assert "chmod 700" in after["data folder"]["says"]
    assert "chmod 600" in after["key issuer"]["says"]
    assert [after[what]["ok"] for what in local] == [True, False, False, True, False]


@pytest.mark.usefixtures("nobody_listens")
def test_doctor_looks_at_every_key_there_is_and_misses_those_that_are_not(machine: Machine) -> None:
    load_or_create_key(machine.data / "keys" / "bridge-token.jwk")
    (machine.data / "keys" / "ledger.jwk").unlink()
    found = findings(machine)
    assert found["key bridge-token"]["ok"]
    assert not found["key ledger"]["ok"]


@pytest.mark.usefixtures("nobody_listens")
def test_doctor_says_what_to_do_where_nothing_is(machine: Machine) -> None:
    shown = machine.run("--data", str(machine.folder / "nothing"), "doctor")
    assert shown.exit_code == 1
    assert "run `did-agent init`" in shown.stdout
    assert "cannot be reached" in shown.stdout
    assert "run `did-agent up`" in shown.stdout


# ---- parties that answer


def answering(monkeypatch: pytest.MonkeyPatch, answers: dict[str, httpx2.Response]) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return answers[request.url.path]

    monkeypatch.setattr(looks, "peer_client", lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
    monkeypatch.setattr(looks, "_PAUSE", 0.0)


def dated(status: int = 200, *, offset: float = 0, date: str | None = None) -> httpx2.Response:
    told = format_datetime(system_clock() + timedelta(seconds=offset), usegmt=True) if date is None else date
    return httpx2.Response(status, headers={"Date": told} if told else {})


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize(
    ("live", "ready", "ok", "words"),
    [
        ({}, {}, True, "alive, ready, clocks agree"),
        ({}, {"offset": -20}, True, "clocks agree"),
        ({}, {"offset": -40}, False, "set the clocks"),
        ({}, {"offset": 40}, False, "set the clocks"),
        ({}, {"status": 503}, False, "alive but not ready (503)"),
        ({"status": 404}, {"status": 404}, False, "something else answers there (404)"),
        ({}, {"date": ""}, False, "does not say its time"),
        ({}, {"date": "yesterday"}, False, "does not say its time"),
    ],
)
def test_doctor_tells_a_healthy_party_from_a_sick_one_and_from_a_stranger(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    live: dict[str, Any],
    ready: dict[str, Any],
    ok: bool,
    words: str,
) -> None:
    monkeypatch.setenv("DID_AGENT_DEMO_URL", "http://127.0.0.1:1/mcp")
    answering(monkeypatch, {"/livez": dated(**live), "/readyz": dated(**ready), "/mcp": dated(401)})
    found = findings(machine)["http://127.0.0.1:1"]
    assert (found["ok"], words in found["says"]) == (ok, True), found


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize(("status", "ok"), [(401, True), (200, False), (404, False)])
def test_doctor_notices_a_demo_server_without_its_guard(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, status: int, ok: bool
) -> None:
    monkeypatch.setenv("DID_AGENT_DEMO_URL", "http://127.0.0.1:1/mcp")
    answering(monkeypatch, {"/livez": dated(), "/readyz": dated(), "/mcp": dated(status)})
    assert findings(machine)["http://127.0.0.1:1/mcp"]["ok"] is ok
