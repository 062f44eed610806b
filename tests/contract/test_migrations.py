"""What revisions promise on both databases: they lead to the tables of the code, up, down and up again, and to no others."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Table, Text, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.migrations import downgrade, prepare_schema, state_of, upgrade
from did_agent.adapters.revisions import Shape, _baseline, shape_of_revision, sql_of
from did_agent.adapters.schema import BASE, Schema
from did_agent.adapters.sql import open_database
from did_agent.errors import Misconfigured

ROOT = Path(__file__).parents[2]
PARTIES = ("issuer", "bridge", "ledger", "console")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


revisions = load(ROOT / "tests" / "packaging" / "revisions.py")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_database(database_url)
    yield opened
    await opened.dispose()


@pytest.fixture(params=PARTIES)
def schema(request: pytest.FixtureRequest) -> Schema:
    found = revisions.schema_of(request.param)
    assert isinstance(found, Schema)
    return found


def value_for(column: Any) -> Any:
    if isinstance(column.type, LargeBinary):
        return b"x"
    return "x" if isinstance(column.type, Text) or column.type.python_type is str else 1


async def fill(engine: AsyncEngine, schema: Schema, shapes: Mapping[str, Shape] | None = None) -> int:
    """Put a row into every table, or into those of earlier `shapes`, and return how many there are."""
    tables: list[Table] = [one for one in schema.metadata.sorted_tables if shapes is None or one.name in shapes]
    async with engine.begin() as connection:
        for table in tables:
            columns = [one for one in table.columns if shapes is None or one.name in shapes[table.name].columns]
            await connection.execute(insert(table).values({one.name: value_for(one) for one in columns}))
    return len(tables)


async def without_revisions(engine: AsyncEngine, schema: Schema) -> Mapping[str, Shape]:
    """Make the tables that there were before there were revisions, and return their shapes."""
    await upgrade(engine, schema, to=_baseline(schema))
    async with engine.begin() as connection:
        for name in (schema.version_table, schema.applied.name):
            await connection.execute(text(f"DROP TABLE {name}"))
    return shape_of_revision(schema, _baseline(schema))


async def count(engine: AsyncEngine, schema: Schema) -> int:
    async with engine.begin() as connection:
        found = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in schema.metadata.sorted_tables
        ]
    return sum(found)


async def test_revisions_lead_to_the_tables_of_the_code(engine: AsyncEngine, schema: Schema) -> None:
    state = await prepare_schema(engine, schema)
    assert (state.standing, state.revision) == ("current", schema.newest)
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: revisions.differences(schema, sync))
    assert found == [], f"`make revision PARTY={schema.party} MESSAGE=…` writes what is missing"


@pytest.mark.req("OPS-05")
async def test_up_down_up_with_rows(engine: AsyncEngine, schema: Schema) -> None:
    await upgrade(engine, schema)
    assert await fill(engine, schema) == await count(engine, schema)
    await upgrade(engine, schema)  # once more changes nothing
    assert await count(engine, schema) == len(schema.metadata.sorted_tables)
    await downgrade(engine, schema, to=BASE)
    assert (await state_of(engine, schema)).standing == "empty"
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert [name for name in names if schema.owns(name)] == []
    await upgrade(engine, schema)
    assert await count(engine, schema) == 0
    assert await fill(engine, schema) == await count(engine, schema)


@pytest.mark.req("OPS-05")
async def test_tables_of_an_earlier_release_are_adopted_with_their_rows(engine: AsyncEngine, schema: Schema) -> None:
    shapes = await without_revisions(engine, schema)
    rows = await fill(engine, schema, shapes)
    # One that an operator lost is made anew; where there is one alone, nothing would be left to adopt.
    missing = [one.name for one in schema.metadata.sorted_tables if one.name in shapes][: min(1, len(shapes) - 1)]
    async with engine.begin() as connection:
        for name in missing:
            await connection.execute(text(f"DROP TABLE {name}"))
    assert (await state_of(engine, schema)).standing == "unversioned"
    state = await prepare_schema(engine, schema, migrate="start")
    assert (state.standing, state.revision) == ("current", schema.newest)
    assert await count(engine, schema) == rows - len(missing)  # what was missing is there again, without its row


@pytest.mark.req("OPS-05")
async def test_tables_that_do_not_fit_are_named_and_left_alone(engine: AsyncEngine, schema: Schema) -> None:
    shapes = await without_revisions(engine, schema)
    table = next(one for one in reversed(schema.metadata.sorted_tables) if one.name in shapes)
    plain = (one.name for one in table.columns if not one.primary_key and not one.index and not one.unique)
    name = next(one for one in plain if one in shapes[table.name].columns)
    async with engine.begin() as connection:
        await connection.execute(text(f'ALTER TABLE {table.name} RENAME COLUMN "{name}" TO otherwise'))
    with pytest.raises(Misconfigured, match=f"table {table.name} lacks {name}"):
        await prepare_schema(engine, schema, migrate="start")
    assert (await state_of(engine, schema)).standing == "unversioned"


async def test_starting_does_not_take_a_postgresql_database_up_unasked(engine: AsyncEngine, schema: Schema) -> None:
    await without_revisions(engine, schema)
    if engine.dialect.name == "sqlite":
        assert (await prepare_schema(engine, schema)).standing == "current"
        return
    with pytest.raises(Misconfigured, match=f"did-agent database upgrade {schema.party}"):
        await prepare_schema(engine, schema)
    with pytest.raises(Misconfigured, match="DID_AGENT_MIGRATE=start"):
        await prepare_schema(engine, schema, migrate="never")
    assert (await prepare_schema(engine, schema, migrate="start")).standing == "current"


START = """
import asyncio, sys
from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.sql import open_database
from ledger.migrations import SCHEMA

async def start():
    engine = open_database(sys.argv[1])
    await prepare_schema(engine, SCHEMA)
    await engine.dispose()

asyncio.run(start())
"""


@pytest.mark.req("OPS-05")
async def test_four_processes_that_start_together_all_start(database_url: str, engine: AsyncEngine) -> None:
    every = [subprocess.Popen([sys.executable, "-c", START, database_url], cwd=ROOT) for _ in range(4)]
    assert [process.wait(timeout=60) for process in every] == [0, 0, 0, 0]
    schema = revisions.schema_of("ledger")
    assert (await state_of(engine, schema)).standing == "current"
    async with engine.begin() as connection:
        assert (await connection.execute(select(func.count()).select_from(schema.applied))).scalar_one() == len(
            schema.revisions
        )


@pytest.mark.req("OPS-05")
async def test_several_at_once_in_one_process_all_succeed(database_url: str, schema: Schema) -> None:
    engines = [open_database(database_url) for _ in range(4)]
    states = await asyncio.gather(*(prepare_schema(engine, schema) for engine in engines))
    assert {state.standing for state in states} == {"current"}
    for engine in engines:
        await engine.dispose()


@pytest.mark.parametrize("party", PARTIES)
def test_a_revision_works_for_the_release_before_it(party: str) -> None:
    schema = revisions.schema_of(party)
    modules = [load(path) for path in sorted(schema.folder.glob("r[0-9]*.py"))]
    assert [module.revision for module in modules] == [f"{number:04}" for number in range(1, len(modules) + 1)]
    assert modules[0].down_revision is None
    for before, module in zip(modules, modules[1:], strict=False):
        assert module.down_revision == before.revision
        assert getattr(module, "BASELINE", False) or module.works_from <= before.revision, module.__file__


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_statements_can_be_run_by_hand(schema: Schema, dialect: str) -> None:
    shown = sql_of(schema, dialect=dialect, begin=BASE, end=schema.newest)
    assert shown.count("CREATE TABLE") == len(schema.metadata.tables) + 2  # beside them those of revisions
    back = sql_of(schema, dialect=dialect, begin=schema.newest, end=BASE)
    assert back.count("DROP TABLE") >= shown.count("CREATE TABLE") - 1  # the number of the revision stays
