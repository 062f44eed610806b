"""Agents and credentials by the million, as the issuer's own row functions write them, copied into its tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import chain, islice
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from did_agent.clock import system_clock
from did_agent.credential.capability import parse_bare_capability
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.agent_records import label_rows
from issuer.adapters.sql_agents import agent_row
from issuer.adapters.sql_grants import grant_row
from issuer.granting import grant_capabilities
from issuer.model import HOME, Agent, Grant, State
from issuer.model.status import Place
from issuer.naming import skeleton

RESOURCE: Final = "https://tools.example/mcp"
CAPABILITY: Final[Mapping[str, Any]] = {"resource": [RESOURCE], "tools": {"list_menu": {}, "order": {}}}
REAL: Final = 1_000  # agents at the beginning with keys of their own; those of the others exist nowhere
SPONSORS, OWNERS, TAGS, GROUPS, TEMPLATES = 1_000, 100, 50, 200, 20
CHUNK: Final = 20_000  # rows of one transaction
FIRST_LIST: Final = 1_000_000  # number of the first list of what was copied; the server's own begin at 1
LIST: Final = 131_072
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_STATES: Final[Sequence[State]] = ("active",) * 18 + ("suspended", "retired")
_NOW: Final = system_clock().replace(microsecond=0)

Row = Mapping[str, Any]


def agent_id(number: int) -> str:
    """Return the id of an agent by its number; neighbours are as far apart as random ids."""
    return f"urn:uuid:{_spread(number)}"


def did(number: int) -> str:
    """Return the DID of an agent by its number."""
    if number < REAL:
        return did_key(SigningKey.from_seed(number.to_bytes(32)).public)
    left, text = int(_spread(number).replace("-", ""), 16), ""
    for _ in range(21):
        left, digit = divmod(left, 58)
        text += _BASE58[digit]
    return f"did:key:z6Mk{text}{number:023x}"


def credential_id(number: int) -> str:
    """Return the id of a credential by its number."""
    return f"urn:uuid:{_spread(number + 2**40)}"


def fill(url: str, begin: int, end: int) -> None:
    """Write agents with what they are found by, and as many credentials, from one number up to another."""
    numbers = range(begin, end)
    _write(url, "issuer_agents", (agent_row(one, skeleton=skeleton(one.name)) for one in map(agent, numbers)))
    _write(url, "issuer_labels", (row for number in numbers for row in label_rows(agent(number))))
    key = SigningKey.from_seed(b"b" * 32)
    _write(url, "issuer_credentials", (_grant_row(number, _signed(key)) for number in numbers))
    _analyse(url)


def agent(number: int) -> Agent:
    """Return an agent by its number; the first ones are all active."""
    return Agent(
        organisation=HOME,
        agent_id=agent_id(number),
        name=f"agent-{number:07}",
        sponsor=f"Team {number % SPONSORS}",
        owner=f"did:key:owner-{number % OWNERS}",
        description=f"Does what number {number} does",
        metadata={"version": "1.4.2"},
        redirect_uris=(),
        tags=(f"tag-{number % TAGS}", f"tag-{(number + 7) % TAGS}"),
        groups=(f"group-{number % GROUPS}",),
        template=f"template-{number % TEMPLATES}",
        state="active" if number < REAL else _STATES[number % len(_STATES)],
        did=did(number),
        created=_NOW,
        changed=_NOW,
    )


_known: list[Grant] = []


def _signed(key: SigningKey) -> Grant:
    """Return one credential as it is issued; the others are it with names of their own."""
    if not _known:
        place = Place(list_number=FIRST_LIST, index=0)
        capabilities = [parse_bare_capability(CAPABILITY)]
        _known.append(
            grant_capabilities(
                agent(0),
                capabilities,
                key=key,
                issuer_url="https://issuer.example",
                place=place,
                valid_seconds=86_400,
                max_depth=1,
                on_behalf_of=None,
                now=_NOW,
            )
        )
    return _known[0]


def _grant_row(number: int, like: Grant) -> Row:
    subject = {**like.document["credentialSubject"], "id": did(number)}
    document = {**like.document, "id": credential_id(number), "credentialSubject": subject}
    issued = _NOW - timedelta(seconds=number % 80_000)
    one = Grant(
        organisation=HOME,
        id=credential_id(number),
        agent_id=agent_id(number),
        did=did(number),
        document=document,
        issued=issued,
        valid_until=issued + timedelta(seconds=86_400),
        list_number=FIRST_LIST + number // LIST,
        list_index=number % LIST,
    )
    return grant_row(one)


def _spread(number: int) -> str:
    left = f"{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}"
    return f"{left[:8]}-{left[8:12]}-4{left[12:15]}-8{left[15]}00-{number % 2**48:012x}"


def _write(url: str, table: str, rows: Iterable[Row]) -> None:
    """Copy rows into a table; they have the same columns, in the same order."""
    left = iter(rows)
    first = next(left)
    columns, place = list(first), make_url(url)
    values = (tuple(row.values()) for row in chain([first], left))
    if place.drivername.startswith("postgresql"):
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        copying = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with psycopg.connect(_plain(url)) as connection, connection.cursor().copy(copying) as copy:
            for row in values:
                copy.write_row(row)
        return
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    with closing(sqlite3.connect(str(place.database), timeout=60)) as file:
        for some in _chunks(values):
            with file:
                file.executemany(statement, some)


def _analyse(url: str) -> None:
    """Tell the planner what is there, as the server's own upkeep would within a minute."""
    if url.startswith("postgresql"):
        with psycopg.connect(_plain(url), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        return
    with closing(sqlite3.connect(str(make_url(url).database), timeout=60)) as file:
        file.execute("ANALYZE")


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _chunks(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while some := list(islice(rows, CHUNK)):
        yield some


def import_rows(begin: int, count: int) -> bytes:
    """Return the body of one import."""
    rows = [
        {
            "key": f"imported-{number}",
            "name": f"imported-{number:07}",
            "sponsor": f"Team {number % SPONSORS}",
            "description": f"Came with number {number}",
            "tags": [f"tag-{number % TAGS}"],
        }
        for number in range(begin, begin + count)
    ]
    return json.dumps({"rows": rows}).encode()
