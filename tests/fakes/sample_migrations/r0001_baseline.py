"""Orders with their price as text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None
works_from = "0001"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "sample_orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("price", sa.Text, nullable=False)
    )


def downgrade(op: Operations) -> None:
    op.drop_table("sample_orders")
