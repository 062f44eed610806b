"""Rows are found by reason, request, credential, task and time; every index ends with the row number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0004"
down_revision = "0003"
works_from = "0001"  # what an older release takes in is found by what that release knows

_BEFORE = ("principal", "target", "action", "decision", "organisation")
_NEW = ("reason", "request_id")
_FILL_SQLITE = """
    UPDATE ledger_events SET
      reason = CASE WHEN length(json_extract(event, '$.reason')) <= 64 THEN json_extract(event, '$.reason') END,
      request_id =
        CASE WHEN length(json_extract(event, '$.request_id')) <= 64 THEN json_extract(event, '$.request_id') END,
      time = json_extract(event, '$.time')
    WHERE event LIKE '{"%';
    INSERT INTO ledger_actors (actor, seq)
    SELECT principal, seq FROM ledger_events AS e WHERE principal IS NOT NULL AND event LIKE '{"%'
    AND NOT EXISTS (SELECT 1 FROM ledger_actors AS a WHERE a.actor = e.principal AND a.seq = e.seq);
    INSERT INTO ledger_mentions (what, seq)
    SELECT DISTINCT c.value, e.seq
    FROM (SELECT seq, event FROM ledger_events WHERE event LIKE '{"%') AS e, json_each(e.event, '$.credential_ids') AS c
    WHERE e.event LIKE '{"%' AND length(c.value) <= 512
    UNION SELECT json_extract(event, '$.details.task'), seq FROM ledger_events
    WHERE event LIKE '{"%' AND length(json_extract(event, '$.details.task')) <= 512
"""
_FILL_POSTGRESQL = """
    UPDATE ledger_events SET
      reason = CASE WHEN length(event::json ->> 'reason') <= 64 THEN event::json ->> 'reason' END,
      request_id = CASE WHEN length(event::json ->> 'request_id') <= 64 THEN event::json ->> 'request_id' END,
      time = event::json ->> 'time'
    WHERE event LIKE '{"%';
    INSERT INTO ledger_actors (actor, seq)
    SELECT principal, seq FROM ledger_events AS e WHERE principal IS NOT NULL AND event LIKE '{"%'
    AND NOT EXISTS (SELECT 1 FROM ledger_actors AS a WHERE a.actor = e.principal AND a.seq = e.seq);
    INSERT INTO ledger_mentions (what, seq)
    SELECT DISTINCT c.value, e.seq
    FROM (SELECT seq, event FROM ledger_events WHERE event LIKE '{"%') AS e,
         json_array_elements_text(e.event::json -> 'credential_ids') AS c(value)
    WHERE e.event LIKE '{"%' AND length(c.value) <= 512
    UNION SELECT event::json -> 'details' ->> 'task', seq FROM ledger_events
    WHERE event LIKE '{"%' AND length(event::json -> 'details' ->> 'task') <= 512
"""
_COUNT = """
    INSERT INTO ledger_hours (hour, organisation, decision, reason, count, first, last)
    SELECT substr(time, 1, 13), coalesce(organisation, ''), decision, coalesce(reason, ''), count(*), min(seq), max(seq)
    FROM ledger_events WHERE time IS NOT NULL
    GROUP BY substr(time, 1, 13), coalesce(organisation, ''), decision, coalesce(reason, '')
"""


def upgrade(op: Operations) -> None:
    for name, length in (("reason", 64), ("request_id", 64), ("time", 24)):
        op.add_column("ledger_events", sa.Column(name, sa.String(length=length), nullable=True))
    op.create_table(
        "ledger_mentions",
        sa.Column("what", sa.String(length=512), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("what", "seq"),
    )
    op.create_table(
        "ledger_hours",
        sa.Column("hour", sa.String(length=13), nullable=False),
        sa.Column("organisation", sa.String(length=512), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "organisation", "decision", "reason"),
    )
    _fill(op)
    for name in _BEFORE:
        op.drop_index(f"ix_ledger_events_{name}", table_name="ledger_events")
    for name in (*_BEFORE, *_NEW):
        op.create_index(f"ix_ledger_events_{name}_seq", "ledger_events", [name, "seq"], unique=False)


def _fill(op: Operations) -> None:
    # What does not fit an index stands there as its digest in new rows; old rows of that kind are found by the rest.
    filling = _FILL_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _FILL_SQLITE
    for statement in (*filling.split(";"), _COUNT):
        op.execute(statement)


def downgrade(op: Operations) -> None:
    for name in (*_BEFORE, *_NEW):
        op.drop_index(f"ix_ledger_events_{name}_seq", table_name="ledger_events")
    for name in ("reason", "request_id", "time"):
        op.drop_column("ledger_events", name)
    for name in _BEFORE:
        op.create_index(f"ix_ledger_events_{name}", "ledger_events", [name], unique=False)
    op.drop_table("ledger_hours")
    op.drop_table("ledger_mentions")
