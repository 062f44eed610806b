"""Tables of the bridge, 2 of 2."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
works_from = "0002"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "bridge_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_tokens_expires", "bridge_tokens", ["expires"], unique=False)
    op.create_table(
        "bridge_trusted_issuers",
        sa.Column("issuer", sa.String(length=2048), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("issuer"),
    )
    op.create_table(
        "bridge_users",
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("username"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("bridge_users")
    op.drop_table("bridge_trusted_issuers")
    op.drop_table("bridge_tokens")
