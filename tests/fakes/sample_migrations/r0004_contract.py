"""Contract: the text is gone, which no release still running reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy import text

from did_agent.adapters.revisions import in_batches

revision = "0004"
down_revision = "0003"
works_from = "0003"
_FILL = """
UPDATE sample_orders SET price = CAST(cents / 100 AS TEXT)
WHERE id IN (SELECT id FROM sample_orders WHERE price IS NULL ORDER BY id LIMIT :size)
"""


def upgrade(op: Operations) -> None:
    with op.batch_alter_table("sample_orders") as orders:
        orders.drop_column("price")
        orders.alter_column("cents", existing_type=sa.Integer, nullable=False)


def downgrade(op: Operations) -> None:
    with op.batch_alter_table("sample_orders") as orders:
        orders.add_column(sa.Column("price", sa.Text))
        orders.alter_column("cents", existing_type=sa.Integer, nullable=True)
    in_batches(op, text(_FILL), size=100)
