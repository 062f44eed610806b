"""`did-agent audit search|tail|prove|export` against a ledger that runs."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from did_agent.cli.deployment import Deployment
from did_agent.cli.main import cli
from did_agent.client.issuer import IssuerClient
from did_agent.client.ledger import LedgerClient
from did_agent.errors import PeerUnavailable
from tests.fakes.deployment import Deployed, deployed
from tests.integration.test_ledger_live import register

Run = Callable[..., Result]


class Bearer(httpx2.Auth):
    """The operator, at the time the parties were started with."""

    def __init__(self, parties: Deployed) -> None:
        self._parties = parties

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._parties.token('ledger')}"
        yield request


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("log")) as running:
        for name in ("first", "second", "third"):
            register(running, name)
        yield running


@pytest.fixture
def run(parties: Deployed, monkeypatch: pytest.MonkeyPatch) -> Run:
    async def nobody(_self: IssuerClient) -> Any:
        raise PeerUnavailable("names are a convenience")

    at = LedgerClient(parties.urls["ledger"], auth=Bearer(parties))
    monkeypatch.setattr(Deployment, "ledger", property(lambda _self: at))
    monkeypatch.setattr(IssuerClient, "agents", nobody)
    for party, url in parties.urls.items():
        monkeypatch.setenv(f"DID_AGENT_{party.upper()}_URL", url)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["--data", str(parties.data), "audit", *map(str, arguments)])

    return invoke


def shown(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_search_finds_by_its_filters_in_the_order_of_the_log(run: Run) -> None:
    found = shown(run("search", "--action", "agent.create", "--json"))
    assert [row["event"]["action"] for row in found["events"]] == ["agent.create"] * 3
    assert [row["seq"] for row in found["events"]] == sorted(row["seq"] for row in found["events"])
    assert not found["more"]
    assert shown(run("search", "--action", "agent.create", "-n", 2, "--json"))["more"]
    assert "there is more" in run("search", "-n", 1).stdout
    assert shown(run("search", "--reason", "no-such-reason", "--json"))["events"] == []
    assert run("search", "--since", "yesterday").exit_code != 0
    assert run("search", "--decision", "perhaps").exit_code == 2


def test_tail_follows_what_comes(run: Run, parties: Deployed) -> None:
    threading.Timer(1.0, lambda: register(parties, "followed")).start()
    followed = run("tail", "-n", 1, "-f", "--count", 1, "--action", "agent.create", "--json")
    assert followed.exit_code == 0, followed.output
    old, new = [json.loads(line) for line in followed.stdout.splitlines()]
    assert new["seq"] > old["seq"]
    assert len(shown(run("tail", "-n", 2, "--json"))["events"]) == 2


@pytest.mark.req("AUD-03")
def test_one_row_is_proven_here_and_a_false_answer_is_not(
    run: Run, parties: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_number = shown(run("prove", 2, "--json"))
    assert by_number["seq"] == 2
    assert shown(run("prove", by_number["event"]["id"], "--json"))["leaf"] == by_number["leaf"]
    assert "ok: it stands in the" in run("prove", 1).stdout
    assert run("prove", 10_000).exit_code == 1
    assert run("prove", "urn:uuid:nothing").exit_code == 1
    asked = LedgerClient.events

    async def lying(self: LedgerClient, **question: str) -> list[dict[str, Any]]:
        rows = await asked(self, **question)
        return [{**row, "event": {**row["event"], "decision": "deny"}} for row in rows]

    monkeypatch.setattr(LedgerClient, "events", lying)
    refused = run("prove", 2)
    assert refused.exit_code == 1
    assert "changed" in refused.output


def test_exports_hold_what_was_asked_for_in_the_form_that_was_asked_for(run: Run, tmp_path: Path) -> None:
    found = shown(run("search", "--action", "agent.create", "--json"))["events"]
    told = shown(run("export", table := tmp_path / "a.csv", "--format", "csv", "--action", "agent.create", "--json"))
    assert told["bytes"] == table.stat().st_size
    assert [one["id"] for one in csv.DictReader(io.StringIO(table.read_text()))] == [
        row["event"]["id"] for row in found
    ]
    for form in ("ocsf", "otlp"):
        assert run("export", file := tmp_path / f"a.{form}", "--format", form).exit_code == 0
        assert all(json.loads(line) for line in file.read_text().splitlines())
        assert file.stat().st_mode & 0o777 == 0o600
    assert run("export", tmp_path / "b.jsonl", "--decision", "deny").exit_code == 2
    assert run("export", whole := tmp_path / "c.jsonl").exit_code == 0
    checked = run("verify", whole)
    assert checked.stdout.startswith("ok: ")
