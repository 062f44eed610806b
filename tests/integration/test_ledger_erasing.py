"""Erasure over HTTP: who may ask for it, what of, and what the log says of it (AUD-05, WEB-02, WEB-04)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.sql import create_schema, open_database
from did_agent.audit.personal import is_sealed
from did_agent.client.ledger import LedgerClient
from ledger.adapters.sql import SQLLog, metadata
from ledger.erasing import Erasing, month_before
from ledger.model import Erasure, Question
from ledger.sealing import Sealer
from ledger.service import LedgerService
from tests.contract.test_ledger_log import KEY, NOW, ORIGIN, event, sign
from tests.fakes.deployment import Deployed, deployed
from tests.fakes.machine import Machine

BAD = ({}, {"person": ""}, {"before": "2026-13"}, {"before": "2999-01"}, {"before": "2026-1"}, {"who": "smith"}, [])


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with deployed(tmp_path_factory.mktemp("erasing")) as running:
        yield running


def post(parties: Deployed, bearer: str | None, body: object) -> httpx2.Response:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    url = f"{parties.urls['ledger']}/erasures"
    return httpx2.post(url, headers=headers, json=body, timeout=30, trust_env=False)


@pytest.mark.req("AUD-05")
def test_nobody_without_the_scope_erases_and_nothing_vague_is_erased(parties: Deployed) -> None:
    reading = parties.token("ledger", scope="audit:read")
    assert post(parties, None, {"person": "smith"}).status_code == 401
    refused = post(parties, reading, {"person": "smith"})
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    for body in BAD:
        assert post(parties, parties.token("ledger"), body).status_code in (400, 413, 422), body


@pytest.mark.req("AUD-05")
async def test_the_record_of_an_erasure_names_nobody_who_was_erased() -> None:
    engine = open_database("sqlite:///:memory:")
    await create_schema(engine, metadata)
    log = SQLLog(engine, Sealer(KEY))
    service = LedgerService(
        log=log, key=KEY, url=f"https://{ORIGIN}", origin=ORIGIN, sources=frozenset(), clock=lambda: NOW
    )
    await log.append([event(1), event(2, time=datetime(2026, 7, 1, tzinfo=UTC))], sign=sign, now=NOW)
    kept = Erasing(service=service, keep_months=3)
    assert await kept.retire() is not None
    assert await kept.retire() is None  # once
    assert await Erasing(service=service).retire() is None
    first, second, told = [row.event for row in await log.rows(Question())]
    assert (first.principal, is_sealed(second.principal or "")) == ("smith", True)
    assert (told.action, told.details) == ("audit.erase", {"keys": "1", "rows": "1", "before": "2026-08"})
    assert (told.principal, "smith" in json.dumps(told.to_json())) == (None, False)
    assert not await log.is_any_sealed(Erasure(before="2026-08"))
    await engine.dispose()


@pytest.mark.parametrize(
    ("months", "before"), [(0, "2026-11"), (1, "2026-10"), (10, "2026-01"), (11, "2025-12"), (23, "2024-12")]
)
def test_months_are_counted_over_years(months: int, before: str) -> None:
    assert month_before(NOW, months) == before


@pytest.mark.req("AUD-05")
def test_the_command_asks_before_it_erases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, asked = Machine(tmp_path), list[dict[str, str]]()

    async def erase(_self: LedgerClient, **whose: str) -> dict[str, Any]:
        asked.append(whose)
        return {"keys": 2, "rows": 7}

    monkeypatch.setattr(LedgerClient, "erase", erase)
    assert machine.run("audit", "erase").exit_code == 2
    assert machine.run("audit", "erase", "smith", stdin="n\n").exit_code != 0
    assert asked == []
    done = machine.run("audit", "erase", "smith", "--before", "2026-01", stdin="y\n")
    assert (done.exit_code, asked) == (0, [{"person": "smith", "before": "2026-01"}])
    assert "2 keys, 7 rows" in done.stdout
