"""The log followed as it grows and counted by the hour, over real HTTP, by readers of one organisation and of all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.bridge_world import START
from tests.fakes.deployment import Deployed, deployed

HOUR = f"{START:%Y-%m-%dT%H}"


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("live")) as running:
        yield running


def get(parties: Deployed, path: str, **params: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {parties.token('ledger')}"}
    return httpx2.get(parties.urls["ledger"] + path, params=params, headers=headers, trust_env=False)


def register(parties: Deployed, name: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {parties.token('issuer')}"}
    body = {"name": name, "sponsor": "Ops"}
    return dict(httpx2.post(f"{parties.urls['issuer']}/agents", json=body, headers=headers, trust_env=False).json())


@pytest.mark.req("AUD-02")
def test_the_log_is_followed_as_it_grows_and_again_from_where_it_ended(parties: Deployed) -> None:
    headers = {"Authorization": f"Bearer {parties.token('ledger')}"}
    url, params = f"{parties.urls['ledger']}/events/stream", {"action": "agent.create"}
    made: list[dict[str, Any]] = []
    with httpx2.stream("GET", url, params=params, headers=headers, timeout=20, trust_env=False) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        threading.Timer(0.3, lambda: made.append(register(parties, "followed"))).start()
        number, row = next(rows_in(stream))
    assert row["event"]["target"] == made[0]["agent_id"]
    assert (row["seq"], row["event"]["action"]) == (number, "agent.create")
    register(parties, "after-the-break")
    again = {**headers, "Last-Event-ID": str(number)}
    with httpx2.stream("GET", url, params=params, headers=again, timeout=20, trust_env=False) as stream:
        following, _ = next(rows_in(stream))
    assert following > number


def rows_in(stream: httpx2.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for line in stream.iter_lines():
        if line.startswith("id: "):
            number = int(line.removeprefix("id: "))
        elif line.startswith("data: "):
            yield number, json.loads(line.removeprefix("data: "))


def test_decisions_are_counted_by_the_hour(parties: Deployed) -> None:
    register(parties, "counted")
    found = get(parties, "/usage", since=f"{HOUR}:00:00Z", until=f"{START:%Y-%m-%d}T23:59:59Z").json()
    (hour,) = found["hours"]
    assert hour["hour"] == f"{HOUR}:00:00Z"
    assert hour["allow"] > 0
    assert get(parties, "/usage", since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z").json()["hours"] == []


@pytest.mark.req("WEB-07")
@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/events", {"since": "yesterday"}),
        ("/events", {"until": "2026-13-01T00:00:00Z"}),
        ("/events", {"before": "-1"}),
        ("/events", {"before": "9" * 40}),
        ("/events/stream", {"after": "x"}),
        ("/usage", {}),
        ("/usage", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ("/usage", {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
    ],
)
def test_a_question_that_can_not_be_read_is_refused_in_words(
    parties: Deployed, path: str, params: dict[str, str]
) -> None:
    answer = get(parties, path, **params)
    assert (answer.status_code, bool(answer.json().get("detail"))) == (400, True), answer.text


@pytest.mark.req("WEB-02")
def test_the_live_end_and_the_counts_need_a_token(parties: Deployed) -> None:
    for path in ("/events/stream", "/usage"):
        assert httpx2.get(parties.urls["ledger"] + path, trust_env=False).status_code == 401, path
