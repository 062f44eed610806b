"""Migrate: what older releases wrote gets its cents, while the release that writes both goes on."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import text

from did_agent.adapters.revisions import in_batches

revision = "0003"
down_revision = "0002"
works_from = "0002"
_FILL = """
UPDATE sample_orders SET cents = CAST(price AS INTEGER) * 100
WHERE id IN (SELECT id FROM sample_orders WHERE cents IS NULL ORDER BY id LIMIT :size)
"""


def upgrade(op: Operations) -> None:
    in_batches(op, text(_FILL), size=100)


def downgrade(op: Operations) -> None:
    """Leave it: the release before writes both."""
