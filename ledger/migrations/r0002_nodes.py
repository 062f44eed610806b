"""Nodes of the tree, and whose each row is; nodes over older rows are worked out with the first append or proof."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
works_from = "0001"


def upgrade(op: Operations) -> None:
    op.create_table(
        "ledger_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "number"),
    )
    op.add_column("ledger_state", sa.Column("noded", sa.BigInteger(), nullable=True))
    op.add_column("ledger_events", sa.Column("organisation", sa.String(length=512), nullable=True))
    op.create_index("ix_ledger_events_organisation", "ledger_events", ["organisation"], unique=False)


def downgrade(op: Operations) -> None:
    op.drop_index("ix_ledger_events_organisation", table_name="ledger_events")
    op.drop_column("ledger_events", "organisation")
    op.drop_column("ledger_state", "noded")
    op.drop_table("ledger_nodes")
