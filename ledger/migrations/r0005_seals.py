"""Personal fields are sealed under keys of their own; what was taken in before stays as it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0005"
down_revision = "0004"
works_from = "0001"  # an older release shows sealed fields as their commitments, and seals none itself


def upgrade(op: Operations) -> None:
    op.add_column("ledger_events", sa.Column("sealed", sa.Text(), nullable=True))
    op.add_column("ledger_state", sa.Column("erasures", sa.BigInteger(), nullable=True))
    op.create_table(
        "ledger_seals",
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("organisation", sa.String(length=512), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", "month", "organisation"),
        sa.UniqueConstraint("id"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("ledger_seals")
    op.drop_column("ledger_state", "erasures")
    op.drop_column("ledger_events", "sealed")
