"""Failpoints are off unless a deployment says so, and then it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from did_agent.adapters.failpoints import VARIABLE

WRITE = """
import asyncio, sys
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, func
from did_agent.adapters.sql import create_schema, open_database, transaction

metadata = MetaData()
table = Table("somethings", metadata, Column("id", Integer, primary_key=True))

async def main():
    engine = open_database(sys.argv[1])
    await create_schema(engine, metadata)
    async with transaction(engine) as connection:
        await connection.execute(insert(table).values(id=1))
    print("answered")
    await engine.dispose()

asyncio.run(main())
"""
COUNT = (
    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM somethings').fetchone()[0])"
)


def run(folder: Path, failpoints: str | None) -> tuple[int, str, str, int]:
    """Return exit code, output, what was said, and how many rows there are then."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    environment |= {} if failpoints is None else {VARIABLE: failpoints}
    file = folder / "some.db"
    command = [sys.executable, "-c", WRITE, f"sqlite:///{file}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    counted = subprocess.run([sys.executable, "-c", COUNT, str(file)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr, int(counted.stdout)


def test_without_the_variable_nothing_is_said_and_nothing_dies(tmp_path: Path) -> None:
    assert run(tmp_path, None) == (0, "answered\n", "", 1)


@pytest.mark.parametrize(
    ("point", "rows"),
    [
        ("writing.somethings", 0),
        ("wrote.somethings", 0),
        ("committing.somethings", 0),
        ("committed.somethings", 1),  # durable, and nobody was told
    ],
)
def test_a_named_point_is_the_end_as_by_a_power_cut(tmp_path: Path, point: str, rows: int) -> None:
    code, shown, said, there = run(tmp_path, point)
    assert (code, shown, there) == (-9, "", rows)
    assert said.startswith(f"{VARIABLE} is set: this process ends at {point}")


def test_a_point_that_is_not_reached_often_enough_is_passed(tmp_path: Path) -> None:
    code, shown, _, there = run(tmp_path, "wrote.somethings:2, committed.others")
    assert (code, shown, there) == (0, "answered\n", 1)


def test_a_trace_names_each_point_once(tmp_path: Path) -> None:
    code, _, said, _ = run(tmp_path, "trace")
    reached = [line.split()[-1] for line in said.splitlines() if "reached" in line]
    assert code == 0
    assert reached == [f"{when}.somethings" for when in ("writing", "wrote", "committing", "committed")]
