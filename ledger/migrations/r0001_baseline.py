"""Tables of the ledger, 1 of 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None
works_from = "0001"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "ledger_actors",
        sa.Column("actor", sa.String(length=512), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("actor", "seq"),
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "ledger_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("principal", sa.String(length=512), nullable=True),
        sa.Column("target", sa.String(length=512), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=True),
        sa.Column("decision", sa.String(length=8), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_ledger_events_action", "ledger_events", ["action"], unique=False)
    op.create_index("ix_ledger_events_decision", "ledger_events", ["decision"], unique=False)
    op.create_index("ix_ledger_events_principal", "ledger_events", ["principal"], unique=False)
    op.create_index("ix_ledger_events_target", "ledger_events", ["target"], unique=False)
    op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("ledger_state")
    op.drop_table("ledger_events")
    op.drop_table("ledger_checkpoints")
    op.drop_table("ledger_actors")
