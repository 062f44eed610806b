"""Expand: the price in cents beside it; the release before neither reads nor writes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
works_from = "0001"


def upgrade(op: Operations) -> None:
    with op.batch_alter_table("sample_orders") as orders:
        orders.add_column(sa.Column("cents", sa.Integer))
        orders.alter_column("price", existing_type=sa.Text, nullable=True)


def downgrade(op: Operations) -> None:
    with op.batch_alter_table("sample_orders") as orders:
        orders.drop_column("cents")
        orders.alter_column("price", existing_type=sa.Text, nullable=False)
