"""What a database tells of itself to readiness and metrics, on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.metrics import LAG, POOL, WAITING, Meter
from did_agent.adapters.migrations import upgrade
from did_agent.adapters.outbox import record
from did_agent.adapters.readiness import Readiness
from did_agent.adapters.readiness_sql import LATE, Waiting, database_parts, show_pool
from did_agent.adapters.sql import open_database, transaction
from issuer.adapters.tables import outbox
from issuer.migrations import SCHEMA
from tests.unit.test_observing import event

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    found = open_database(database_url)
    yield found
    await found.dispose()


async def parts_of(engine: AsyncEngine) -> dict[str, str]:
    return dict((await Readiness(parts=database_parts(engine, SCHEMA)).report()).parts)


@pytest.mark.req("OPS-05", "OPS-09")
async def test_a_database_is_well_once_its_schema_fits(engine: AsyncEngine) -> None:
    assert await parts_of(engine) == {"database": "ok", "schema": "wrong_schema"}
    await upgrade(engine, SCHEMA)
    assert await parts_of(engine) == {"database": "ok", "schema": "ok"}
    async with transaction(engine) as connection:
        await connection.execute(update(SCHEMA.applied).values(works_from="9999"))
        await connection.exec_driver_sql(f"UPDATE {SCHEMA.version_table} SET version_num = '9999'")
    assert await parts_of(engine) == {"database": "ok", "schema": "wrong_schema"}


@pytest.mark.req("OPS-09")
@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql+psycopg://u:hunter2@127.0.0.1:1/x"])
async def test_a_database_that_is_away_is_named_and_its_address_is_not(url: str) -> None:
    away = open_database(url)
    report = await Readiness(parts=database_parts(away, SCHEMA)).report()
    await away.dispose()
    assert (report.status, report.parts) == (503, {"database": "failed", "schema": "failed"})
    assert b"hunter2" not in report.body()


@pytest.mark.req("OPS-09")
async def test_the_outbox_tells_how_much_waits_and_for_how_long(engine: AsyncEngine) -> None:
    await upgrade(engine, SCHEMA)
    now = START
    waiting, meter = Waiting(engine, outbox, lambda: now), Meter("issuer")
    waiting.shown_by(meter)
    show_pool(meter, engine)
    assert (await waiting.look(), await waiting.count(), await waiting.lag()) == ("ok", 0, 0.0)
    async with transaction(engine) as connection:
        for _ in range(3):
            await record(connection, outbox, replace(event(), id=uuid.uuid4().urn, time=START))
    now = START + timedelta(seconds=LATE)
    assert await waiting.look() == "ok"
    now += timedelta(seconds=1)
    assert (await waiting.look(), await waiting.count(), await waiting.lag()) == ("late", 3, LATE + 1)
    shown = await meter.samples()
    assert [shown[one][0][2] for one in (WAITING, LAG)] == [3.0, LATE + 1]
    assert shown[POOL][0][2] >= 0
