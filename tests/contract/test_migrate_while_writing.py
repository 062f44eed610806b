"""Expand, migrate, contract: each revision under writers of the release that is running, on a sample of four revisions."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.migrations import downgrade, prepare_schema, state_of, upgrade
from did_agent.adapters.schema import Schema
from did_agent.adapters.sql import open_database, transaction
from did_agent.errors import Misconfigured

FOLDER = Path(__file__).parents[1] / "fakes" / "sample_migrations"
# What each release writes: the text alone, both, the cents alone.
FIRST = "INSERT INTO sample_orders (id, price) VALUES (:id, CAST(:id AS TEXT))"
SECOND = "INSERT INTO sample_orders (id, price, cents) VALUES (:id, CAST(:id AS TEXT), :id * 100)"
THIRD = "INSERT INTO sample_orders (id, cents) VALUES (:id, :id * 100)"


def release(folder: Path, newest: str) -> Schema:
    """Return the schema as a release knows it that ends with a revision."""
    folder.mkdir(exist_ok=True)
    for path in FOLDER.glob("r[0-9]*.py"):
        if path.name[1:5] <= newest:
            shutil.copy(path, folder)
    return Schema(party="sample", metadata=MetaData(), folder=folder, url=lambda _data: "")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_database(database_url)
    yield opened
    await opened.dispose()


class Writer:
    """A process of one release that writes all the time, on connections of its own."""

    def __init__(self, database_url: str) -> None:
        self.url, self.written = database_url, 0

    @asynccontextmanager
    async def writing(self, statement: str) -> AsyncIterator[None]:
        engine, ended = open_database(self.url), asyncio.Event()

        async def write() -> None:
            while not ended.is_set():
                async with transaction(engine) as connection:
                    await connection.execute(text(statement), {"id": self.written + 1})
                self.written += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(write())
        await asyncio.sleep(0.05)
        try:
            yield
            await asyncio.sleep(0.05)
        finally:
            ended.set()
            await task
            await engine.dispose()


async def rows(engine: AsyncEngine, condition: str) -> int:
    async with engine.begin() as connection:
        return int(
            (await connection.execute(text(f"SELECT count(*) FROM sample_orders WHERE {condition}"))).scalar_one()
        )


@pytest.mark.req("OPS-05")
async def test_no_write_is_lost_from_expand_to_contract(database_url: str, engine: AsyncEngine, tmp_path: Path) -> None:
    schema = release(tmp_path / "all", "0004")
    await upgrade(engine, schema, to="0001")
    writer = Writer(database_url)
    async with writer.writing(FIRST):
        await upgrade(engine, schema, to="0002")
    before = writer.written
    assert await rows(engine, "cents IS NULL") >= before
    async with writer.writing(SECOND):  # all processes of the first release have ended
        await upgrade(engine, schema, to="0003")
    assert await rows(engine, "cents IS NULL") == 0
    async with writer.writing(THIRD):
        await upgrade(engine, schema)
    assert writer.written > before
    assert await rows(engine, "cents = id * 100") == await rows(engine, "1 = 1") == writer.written
    assert (await state_of(engine, schema)).revision == "0004"


async def test_down_and_up_again_with_rows(engine: AsyncEngine, tmp_path: Path) -> None:
    schema = release(tmp_path / "all", "0004")
    await upgrade(engine, schema)
    async with engine.begin() as connection:
        for number in range(250):
            await connection.execute(text(THIRD), {"id": number})
    await downgrade(engine, schema, to="0001")
    assert await rows(engine, "price = CAST(id AS TEXT)") == 250
    await upgrade(engine, schema)
    assert await rows(engine, "cents = id * 100") == 250


Standing = Callable[[str], str]


@pytest.mark.req("OPS-05")
@pytest.mark.parametrize(
    ("made_for", "found_at", "standing"),
    [
        ("0002", "0001", "older"),
        ("0002", "0002", "current"),
        ("0002", "0003", "newer"),  # the next release has begun to migrate: the running one goes on
        ("0001", "0002", "newer"),
        ("0001", "0003", "too new"),
        ("0002", "0004", "too new"),
        ("0003", "0004", "newer"),
    ],
)
async def test_a_release_runs_on_the_schema_of_the_next_one_and_no_further(
    engine: AsyncEngine, tmp_path: Path, made_for: str, found_at: str, standing: str
) -> None:
    await upgrade(engine, release(tmp_path / "all", "0004"), to=found_at)
    running = release(tmp_path / "running", made_for)
    assert (await state_of(engine, running)).standing == standing
    if standing == "too new":
        with pytest.raises(Misconfigured, match="run a newer one"):
            await prepare_schema(engine, running, migrate="start")
    else:
        await prepare_schema(engine, running, migrate="start")
    if standing != "older":
        assert (await state_of(engine, running)).revision == found_at  # nothing was changed
        if found_at > made_for:
            with pytest.raises(Misconfigured, match=f"at {found_at}"):
                await upgrade(engine, running)
            with pytest.raises(Misconfigured):
                await downgrade(engine, running, to="0001")


async def test_an_interrupted_revision_is_done_again(engine: AsyncEngine, tmp_path: Path) -> None:
    schema = release(tmp_path / "all", "0003")
    await upgrade(engine, schema, to="0002")
    async with engine.begin() as connection:
        for number in range(250):
            await connection.execute(text(FIRST), {"id": number})
        # No number: the batch with this row fails.
        price = "'9' || substr('99999999999999999999', 1, 20)" if engine.dialect.name == "postgresql" else "NULL"
        await connection.execute(text(f"UPDATE sample_orders SET price = {price} WHERE id = 200"))
    if engine.dialect.name == "sqlite":
        return  # SQLite converts anything; all of it is one transaction there anyway
    with pytest.raises(Misconfigured, match="out of range"):
        await upgrade(engine, schema)
    assert (await state_of(engine, schema)).revision == "0002"
    assert await rows(engine, "cents IS NOT NULL") == 200  # two batches were done
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE sample_orders SET price = '200' WHERE id = 200"))
    await upgrade(engine, schema)
    assert await rows(engine, "cents = id * 100") == 250


async def test_a_database_nobody_knows_is_refused(engine: AsyncEngine, tmp_path: Path) -> None:
    schema = release(tmp_path / "all", "0004")
    await upgrade(engine, schema)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE sample_schema_version SET version_num = 'a1b2'"))
        await connection.execute(text("DELETE FROM sample_schema_revisions"))
    with pytest.raises(Misconfigured, match="a1b2"):
        await prepare_schema(engine, schema, migrate="start")
    with pytest.raises(Misconfigured, match="no revision 0009"):
        await upgrade(engine, schema, to="0009")
