"""`did-agent doctor` on settings, schemas, certificates, and parties that are not quite well."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.cli import doctor as looks
from did_agent.cli import precautions
from did_agent.cli.deployment import Deployment, Urls
from did_agent.clock import system_clock
from tests.fakes.machine import Machine

SAFE: dict[str, str] = {}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def said(machine: Machine, environment: dict[str, str], **urls: str) -> list[tuple[bool, bool, str]]:
    at = Deployment(urls=Urls(**urls), data=machine.data)
    return [(one.ok, one.warns, one.says) for one in precautions.settings(at, environment)]


@pytest.mark.req("OPS-05")
def test_a_deployment_of_this_machine_alone_has_nothing_insecure(machine: Machine) -> None:
    assert said(machine, SAFE) == [(True, False, "none takes a protection away")]


@pytest.mark.req("OPS-05")
@pytest.mark.parametrize(
    ("environment", "urls", "words"),
    [
        ({}, {"bridge_url": "http://bridge.example"}, "bridge_url is http://bridge.example"),
        ({}, {"bridge_url": "https://bridge.example"}, "DID_AGENT_KEY_FILES is not `sealed`"),
        ({"DID_AGENT_METRICS": "on"}, {"bridge_url": "https://bridge.example"}, "DID_AGENT_METRICS=on"),
        ({"DID_AGENT_METRICS_BIND": "0.0.0.0:9464"}, {}, "DID_AGENT_METRICS_BIND is 0.0.0.0"),
        ({"DID_AGENT_VC_API": "1"}, {}, "without authentication"),
        ({"DID_AGENT_REGISTRATION": "true"}, {}, "lets anybody register"),
        ({"DID_AGENT_DEBUG": "1"}, {}, "DID_AGENT_DEBUG"),
        ({"DID_AGENT_LOG_LEVEL": "debug"}, {}, "DID_AGENT_LOG_LEVEL=debug"),
    ],
)
def test_each_setting_that_takes_a_protection_away_is_named(
    machine: Machine, environment: dict[str, str], urls: dict[str, str], words: str
) -> None:
    found = [says for ok, _, says in said(machine, environment, **urls) if not ok]
    assert any(words in says for says in found), found


@pytest.mark.req("OPS-05")
def test_what_is_safe_beside_it_is_not_named(machine: Machine) -> None:
    environment = {
        "DID_AGENT_METRICS_BIND": "[::1]:9464",
        "DID_AGENT_VC_API": "0",
        "DID_AGENT_REGISTRATION": "1",
        "DID_AGENT_REGISTRATION_TOKEN": "s" * 32,
        "DID_AGENT_LOG_LEVEL": "info",
    }
    found = said(machine, environment)
    assert [says for ok, _, says in found if not ok] == []
    # A secret in the environment is a warning, and is not shown.
    assert [(ok, warns) for ok, warns, _ in found][:1] == [(True, True)]
    assert "s" * 32 not in str(found)


@pytest.mark.parametrize("standing", ["current", "older"])
def test_each_schema_is_named_with_its_revision(machine: Machine, standing: str) -> None:
    machine.run("database", "upgrade")
    if standing == "older":
        machine.run("database", "downgrade", "issuer", "0001", "--yes")
    found = {one["what"]: one for one in json.loads(machine.run("doctor", "--json").stdout)["findings"]}
    assert found["database ledger"]["ok"]
    assert found["database issuer"]["ok"] is (standing == "current")
    assert standing == "current" or "did-agent database upgrade issuer" in found["database issuer"]["says"]


@pytest.mark.req("OPS-09")
def test_parts_that_are_not_well_are_named_with_what_to_do(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIDGE", "ISSUER", "LEDGER"):
        monkeypatch.setenv(f"DID_AGENT_{name}_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("DID_AGENT_DEMO_URL", "http://127.0.0.1:1/mcp")

    def answer(request: httpx2.Request) -> httpx2.Response:
        date = {"Date": format_datetime(system_clock() + timedelta(0), usegmt=True)}
        if request.url.path == "/mcp":
            return httpx2.Response(401)
        parts: dict[str, Any] = {"database": "ok", "outbox": "late", "trust_list": "\x1b[31mred", "more": "secret"}
        return httpx2.Response(200, headers=date, json={"status": "degraded", "parts": parts})

    monkeypatch.setattr(looks, "peer_client", lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
    monkeypatch.setattr(looks, "_PAUSE", 0.0)
    shown = machine.run("doctor", "--json")
    parts = [one for one in json.loads(shown.stdout)["findings"] if " outbox" in one["what"]]
    assert [(one["ok"], one["level"]) for one in parts] == [(True, "warning")] * 4
    assert "is it running" in parts[0]["says"]
    assert "secret" not in shown.stdout  # what is no word of ours is not repeated
    assert "[31m" not in shown.stdout
