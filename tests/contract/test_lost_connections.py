"""A database that ended its connections is noticed before one is used that was idle, and after one failure otherwise."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters import sql
from did_agent.errors import StoreUnavailable


def end_connections(database_url: str) -> None:
    server, name = database_url.replace("+psycopg", "").rsplit("/", 1)
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


async def answer(engine: AsyncEngine) -> int:
    async with sql.transaction(engine) as connection:
        return int((await connection.execute(text("SELECT 42"))).scalar_one())


@pytest.mark.parametrize("idle", [True, False])
async def test_lost_connections_are_made_anew(database_url: str, idle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("nobody ends a connection to a file")
    monkeypatch.setattr(sql, "IDLE", 0.0 if idle else 60.0)
    engine = sql.open_database(database_url)
    assert await asyncio.gather(*(answer(engine) for _ in range(4))) == [42] * 4
    end_connections(database_url)
    if not idle:  # it was used a moment ago: nobody asked whether it lives
        with pytest.raises(StoreUnavailable):
            await answer(engine)
    assert await asyncio.gather(*(answer(engine) for _ in range(4))) == [42] * 4
    await engine.dispose()
