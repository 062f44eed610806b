"""The dashboard and the alerts ask for what the parties really show, and every party shows what they ask for."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from did_agent.adapters.observing import Observer
from did_agent.adapters.party import listen
from did_agent.cli.demo.tools import Bearer, call
from tests.integration.test_traces import agent_in

PARTIES = {"bridge", "issuer", "ledger", "console", "guard"}
DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\bdid_agent_[a-z_]+\b")
SELECTOR = re.compile(r"(did_agent_[a-z_]+)(?:\{([^}]*)\})?")


def expressions() -> Iterator[str]:
    board = json.loads((DEPLOY / "grafana" / "did-agent.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in board["templating"]["list"]:
        yield json.dumps(variable["query"])
    rules = yaml.safe_load((DEPLOY / "prometheus" / "did-agent.rules.yml").read_text())
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.req("OPS-04", "OPS-09")
async def test_every_name_and_label_that_is_asked_for_is_shown_and_the_health_checks_find_all_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = listen("127.0.0.1", 0)
    own = f"127.0.0.1:{probe.getsockname()[1]}"
    probe.close()
    monkeypatch.setenv("DID_AGENT_METRICS_BIND", own)
    monkeypatch.setenv("DID_AGENT_METRICS_PATH", "/metrics")
    async with agent_in(tmp_path) as (at, agent):
        base = urlsplit(at.urls.bridge_url).port or 0
        token = await agent.token(at.urls.bridge_url, at.urls.demo_url)
        assert (await call(at.urls.demo_url, Bearer(token), "list_menu", {})).allowed
        async with httpx2.AsyncClient(trust_env=False) as http:
            await http.post(at.urls.demo_url)  # somebody without a credential
            for url in (at.urls.bridge_url, at.urls.issuer_url, at.urls.ledger_url):
                await http.get(f"{url}/{agent.did}")  # what callers choose is never a label
                assert (await http.get(f"{url}/metrics")).status_code == 404  # the listener of its own shows them
            assert "did_agent_guard_decisions_total" in (await http.get(f"http://127.0.0.1:{base + 5}/metrics")).text
            for _ in range(50):  # until the guard has heard from its bridge
                ready = await http.get(f"http://{own}/readyz")
                if ready.is_success:
                    break
                await asyncio.sleep(0.1)
            text = (await http.get(f"http://{own}/metrics")).text
            assert (await http.get(f"http://{own}/livez")).json() == {"status": "ok"}
            assert (await http.get(f"http://{own}/other")).status_code == 404
        assert ready.json()["parties"].keys() == PARTIES
        assert await health_checks(base) == [0] * 4
    assert await health_checks(base) == [1] * 4
    shown: dict[str, set[str]] = {}
    families = list(text_string_to_metric_families(text))  # as Prometheus reads it
    assert len({family.name for family in families}) == len(families)  # each once, with all parties in it
    for sample in (sample for family in families for sample in family.samples):
        shown.setdefault(sample.name, set()).update(sample.labels)
        assert sample.labels["party"] in PARTIES
    assert agent.did not in text
    assert max(len(label) for label in re.findall(r'="([^"]*)"', text)) < 80
    assert {name for expression in expressions() for name in NAME.findall(expression)} - shown.keys() == set()
    for expression in expressions():
        for name, labels in SELECTOR.findall(expression):
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", labels)) <= shown[name], (name, labels)


async def health_checks(base: int) -> list[int]:
    """Run those of the compose file against a deployment, and return how each ended."""
    services = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
    checks = [services[name]["healthcheck"]["test"] for name in ("issuer", "bridge", "ledger", "urban-bites")]
    assert {test[0] for test in checks} == {"CMD"}
    moved = ([part.replace("127.0.0.1:840", f"127.0.0.1:{base // 10}") for part in test[2:]] for test in checks)
    started = [await asyncio.create_subprocess_exec(sys.executable, "-I", *one, stderr=DEVNULL) for one in moved]
    return [await one.wait() for one in started]


@pytest.mark.req("OPS-04")
@pytest.mark.parametrize(("setting", "url", "shown"), [
    ("auto", "http://127.0.0.1:8402", True),
    ("auto", "https://ledger.example", False),
    ("off", "http://127.0.0.1:8402", False),
    ("on", "https://ledger.example", True),
])  # fmt: skip
def test_counts_are_shown_to_this_machine_alone_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, setting: str, url: str, shown: bool
) -> None:
    monkeypatch.setenv("DID_AGENT_METRICS", setting)
    assert Observer.of("ledger", url).shows_metrics is shown
    monkeypatch.setenv("DID_AGENT_METRICS_BIND", "127.0.0.1:1")
    assert Observer.of("ledger", url).shows_metrics is False  # the listener of its own shows them
