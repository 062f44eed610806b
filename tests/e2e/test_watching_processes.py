"""Parties as a process: one JSON object a line, with the ids of its request; `did-agent doctor` finds them well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from processes import Up


@pytest.fixture
def json_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DID_AGENT_LOG_FORMAT", "json")
    started = Up(tmp_path / "data").start()
    yield started
    started.stop()


@pytest.mark.req("OPS-01", "OPS-09")
def test_every_line_is_one_object_and_says_which_request_it_belongs_to(json_up: Up) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    forged = {"traceparent": trace, "User-Agent": 'x"}\\n{"level": "error", "message": "forged"'}
    answer = httpx2.get(json_up.url("issuer") + "/agents", headers=forged, trust_env=False)
    assert answer.status_code == 401
    assert json_up.run("doctor", "--json").returncode == 0
    json_up.stop()
    lines = [json.loads(line) for line in json_up.log().splitlines() if line.startswith("{")]
    said = [line for line in lines if line.get("request_id") == answer.headers["x-request-id"]]
    assert [(one["party"], one["route"], one["status"]) for one in said] == [("issuer", "/agents", 401)]
    assert (said[0]["trace_id"], said[0]["span_id"]) == ("a" * 32, "b" * 16)
    assert not [line for line in lines if "forged" in json.dumps(line)]
    assert {line["level"] for line in lines} <= {"info"}  # nothing went wrong, also while all of it stopped
    people = [line for line in json_up.log().splitlines() if not line.startswith("{")]
    assert people[0] == "did-agent is up. Stop with Ctrl-C."
    assert people[-1] == "stopped"
