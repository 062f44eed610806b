"""The tables of the log."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from did_agent.audit.merkle import HASH_BYTES
from did_agent.encoding.digest import digest_uri

MAX_NAME: Final = 512  # characters of an actor
INDEXED: Final = {  # characters of each; an organisation of None is the deployment's own
    "principal": MAX_NAME,
    "target": MAX_NAME,
    "action": 64,
    "decision": 8,
    "organisation": MAX_NAME,
    "reason": 64,
    "request_id": 64,
}
TIME_LENGTH: Final = 24  # of 2026-01-31T00:00:00.000Z, which sorts as it is written
HOUR_LENGTH: Final = 13  # of its hour
MONTH_LENGTH: Final = 7  # of its month
ONLY: Final = 1  # id of the only row of `ledger_state`

metadata: Final = MetaData()
events: Final = Table(
    "ledger_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False, unique=True),
    Column("leaf", LargeBinary(HASH_BYTES), nullable=False),
    Column("event", Text, nullable=False),
    *(Column(name, String(limit)) for name, limit in INDEXED.items()),
    Column("time", String(TIME_LENGTH)),
    Column("sealed", Text),  # boxes with the values of personal fields
    # With the row number, so that a page is read in order and never sorted.
    *(Index(f"ix_ledger_events_{name}_seq", name, "seq") for name in INDEXED),
)
actors: Final = Table(
    "ledger_actors",
    metadata,
    Column("actor", String(MAX_NAME), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
)
mentions: Final = Table(  # credentials and tasks that rows name
    "ledger_mentions",
    metadata,
    Column("what", String(MAX_NAME), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
)
hours: Final = Table(  # how many of what in each hour, and between which rows those lie
    "ledger_hours",
    metadata,
    Column("hour", String(HOUR_LENGTH), primary_key=True),
    Column("organisation", String(MAX_NAME), primary_key=True),  # empty: the deployment's own
    Column("decision", String(8), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)
seals: Final = Table(  # data keys, wrapped; a row that is deleted erases what was sealed with it
    "ledger_seals",
    metadata,
    Column("mark", String(64), primary_key=True),
    Column("month", String(MONTH_LENGTH), primary_key=True),
    Column("organisation", String(MAX_NAME), primary_key=True),  # empty: the deployment's own
    Column("id", String(32), nullable=False, unique=True),
    Column("key", LargeBinary, nullable=False),
)
nodes: Final = Table(  # roots of the complete subtrees of 2^8, 2^16, … leaves; the leaves stand with their events
    "ledger_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(HASH_BYTES), nullable=False),
)
checkpoints: Final = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("made", BigInteger, nullable=False),
)
state: Final = Table(
    "ledger_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # roots of the complete subtrees, concatenated
    Column("noded", BigInteger),  # rows whose nodes are kept; fewer after a release that knew none
    Column("erasures", BigInteger),  # how often data keys ended; None: never
)


def key_of(value: str, limit: int) -> str:
    """Return what stands for `value` in an index: itself, or its digest where a database would not take it.

    Tool names are the callers' choice.  PostgreSQL stores no NUL and nothing longer than its column, and an event
    the log cannot take would hold up every later delivery of the party that recorded it.
    """
    return value if len(value) <= limit and "\0" not in value else digest_uri(value.encode())
