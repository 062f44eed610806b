"""SQLite without a thread: writers of one process queue, another process is waited for without holding up the loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters import sqlite_inline
from did_agent.adapters.sql import open_database, transaction
from did_agent.errors import StoreUnavailable


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_database(f"sqlite:///{tmp_path / 'one.db'}")
    async with transaction(engine) as connection:
        await connection.execute(text("create table counted (n integer)"))
        await connection.execute(text("insert into counted values (0)"))
    yield engine
    await engine.dispose()


@pytest.fixture
def other(engine: AsyncEngine, tmp_path: Path) -> sqlite3.Connection:
    """The connection of another process, which is writing."""
    connection = sqlite3.connect(tmp_path / "one.db", isolation_level=None, timeout=0)
    connection.execute("begin immediate")
    return connection


async def add_one(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        count = (await connection.execute(text("select n from counted"))).scalar_one()
        await asyncio.sleep(0)  # others may run now; they must not read this count
        await connection.execute(text("update counted set n = :n"), {"n": count + 1})


async def count(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        return int((await connection.execute(text("select n from counted"))).scalar_one())


async def test_transactions_of_one_process_queue_up(engine: AsyncEngine) -> None:
    await asyncio.gather(*(add_one(engine) for _ in range(50)))
    assert await count(engine) == 50


async def test_a_failed_transaction_leaves_nothing_and_blocks_nobody(engine: AsyncEngine) -> None:
    with pytest.raises(StoreUnavailable):
        async with transaction(engine) as connection:
            await connection.execute(text("update counted set n = 9"))
            await connection.execute(text("select no_such_column from counted"))
    await add_one(engine)
    assert await count(engine) == 1


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(engine: AsyncEngine) -> None:
    began = asyncio.Event()

    async def never_ends() -> None:
        async with transaction(engine) as connection:
            await connection.execute(text("update counted set n = 9"))
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_ends())
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await count(engine) == 0


async def test_the_loop_goes_on_while_another_process_writes(engine: AsyncEngine, other: sqlite3.Connection) -> None:
    waiting = asyncio.create_task(add_one(engine))
    for _ in range(20):
        await asyncio.sleep(0.001)  # would not end if the wait were the loop's
    assert not waiting.done()
    other.execute("update counted set n = 7")
    other.execute("commit")
    await waiting
    assert await count(engine) == 8
    other.close()


async def test_another_process_that_never_ends_is_an_outage(
    engine: AsyncEngine, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_inline, "BUSY_TIMEOUT", 0.02)
    with pytest.raises(StoreUnavailable, match="locked"):
        await add_one(engine)
    other.execute("rollback")
    await add_one(engine)
    assert await count(engine) == 1
    other.close()


async def test_every_connection_syncs_what_it_commits(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        found = {
            name: (await connection.execute(text(f"pragma {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
