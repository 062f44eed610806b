"""Every contract of storage is checked on SQLite and on PostgreSQL, each test on a database of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.sql import create_schema, open_database

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'contract.db'}"
        return
    if POSTGRES is None:
        pytest.skip("no PostgreSQL: run the tests through tests/with_postgres.py")
    name = f"contract_{uuid.uuid4().hex}"
    server = POSTGRES.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def opened(database_url: str) -> Callable[[MetaData], Any]:
    """Open the test's database with a schema, as often as a test wants."""

    @asynccontextmanager
    async def open_with(metadata: MetaData) -> AsyncIterator[AsyncEngine]:
        engine = open_database(database_url)
        await create_schema(engine, metadata)
        yield engine
        await engine.dispose()

    return open_with
