"""What the database adapter promises on both databases besides spending once: starting together, refusing, telling little."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import MetaData, text

from did_agent.adapters.sql import create_schema, open_database, single_use_table, spend, transaction
from did_agent.errors import InvalidParameter, Misconfigured, StoreUnavailable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_workers_that_start_together_all_start(database_url: str) -> None:
    async def start() -> None:
        metadata = MetaData()
        single_use_table(metadata, "together")
        engine = open_database(database_url)
        await create_schema(engine, metadata)
        await engine.dispose()

    await asyncio.gather(*(start() for _ in range(8)))


@pytest.mark.req("VCX-01")
async def test_fifty_workers_with_connections_of_their_own_spend_a_value_once(database_url: str) -> None:
    metadata = MetaData()
    table = single_use_table(metadata, "contract")
    engines = [open_database(database_url) for _ in range(5)]
    await create_schema(engines[0], metadata)

    async def attempt(number: int) -> bool:
        async with transaction(engines[number % 5]) as connection:
            return await spend(connection, table, "jti", "one", NOW)

    assert sum(await asyncio.gather(*(attempt(number) for number in range(50)))) == 1
    for engine in engines:
        await engine.dispose()


@pytest.mark.req("OPS-03")
async def test_a_value_that_can_not_be_stored_is_the_senders_fault(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite stores any text")
    metadata = MetaData()
    table = single_use_table(metadata, "contract")
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    for key in ("with\0nul", "k" * 129):
        with pytest.raises(InvalidParameter):
            async with transaction(engine) as connection:
                await spend(connection, table, "jti", key, NOW)
    async with transaction(engine) as connection:
        assert await spend(connection, table, "jti", "k" * 128, NOW)
    await engine.dispose()


@pytest.mark.req("OPS-02")
async def test_a_failed_statement_tells_no_value(database_url: str) -> None:
    engine = open_database(database_url)
    with pytest.raises(StoreUnavailable) as failed:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT :a FROM nowhere"), {"a": "hunter2"})
    chain: list[Any] = [failed.value, failed.value.__cause__]
    assert not any("hunter2" in str(error) for error in chain)
    await engine.dispose()


async def test_a_database_that_is_away_is_named_at_start_and_unavailable_later() -> None:
    engine = open_database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(Misconfigured):
        await create_schema(engine, MetaData())
    with pytest.raises(StoreUnavailable):
        async with transaction(engine):
            pass
    await engine.dispose()
