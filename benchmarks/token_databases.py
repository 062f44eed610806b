"""Databases of a measurement: one of its own on a PostgreSQL, and rows by the million as live tokens leave them."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from did_agent.clock import numeric_date, system_clock

LIVE_SECONDS: Final = 86_400  # so that no row is forgotten during the run
CHUNK: Final = 20_000  # rows of one transaction
AGENT_COLUMNS: Final = (
    *("agent_id", "skeleton", "did", "name", "state", "sponsor", "description", "metadata", "redirect_uris"),
    *("created", "changed"),
)

Rows = Iterable[tuple[Any, ...]]


@contextmanager
def own_database(postgres: str) -> Iterator[str]:
    """Make a database on a server, yield its URL, and drop it with all connections to it."""
    name, server = f"did_agent_bench_{secrets.token_hex(4)}", make_url(postgres)
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def fill(bridge_url: str, issuer: Path, count: int) -> None:
    """Write live tokens with what they were made from, spent assertions, and agents: `count` of each.

    A token has the dependencies that client credentials leave: agent, credential and signing key.
    """
    expires = numeric_date(system_clock()) + LIVE_SECONDS
    numbers = range(count)
    _write(bridge_url, "bridge_tokens", ("id", "expires"), ((_token(one), expires) for one in numbers))
    links = (
        (_token(one), what)
        for one in numbers
        for what in (f"did:key:z6Mk{_spread(one)}", f"urn:uuid:{_spread(one)}", "the-signing-key-of-all-of-them")
    )
    _write(bridge_url, "bridge_token_dependencies", ("token_id", "depends_on"), links)
    spent = (("client_assertion", _spread(one), expires) for one in numbers)
    _write(bridge_url, "bridge_single_use", ("purpose", "key", "expires"), spent)
    agents = ((*_agent(one), expires - LIVE_SECONDS, expires - LIVE_SECONDS) for one in numbers)
    _write(f"sqlite:///{issuer}", "issuer_agents", AGENT_COLUMNS, agents)


def _spread(number: int) -> str:
    """Return a text of a digest's length that is as far from that of the next number as digests are."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:027x}"


def _token(number: int) -> str:
    return _spread(number)[:24]


def _agent(number: int) -> tuple[str, ...]:
    name, agent_id = f"filler-{number}", f"urn:uuid:{_spread(number)}"
    return (agent_id, name, f"did:key:z6Mk{_spread(number)}", name, "active", "Benchmark", "", "{}", "[]")


def _write(url: str, table: str, columns: Sequence[str], rows: Rows) -> None:
    place = make_url(url)
    if place.drivername.startswith("postgresql"):
        plain = place.set(drivername="postgresql").render_as_string(hide_password=False)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        copying = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with psycopg.connect(plain) as connection, connection.cursor().copy(copying) as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" for _ in columns)
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  # our own names
    with closing(sqlite3.connect(str(place.database), timeout=60)) as file:
        for some in _chunks(rows):
            with file:
                file.executemany(statement, some)


def _chunks(rows: Rows) -> Iterator[list[tuple[Any, ...]]]:
    left = iter(rows)
    while some := list(islice(left, CHUNK)):
        yield some
