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
        "bridge_token_places",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("list_number", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id"),
        sa.UniqueConstraint("list_number", "place"),
    )
    op.create_index(
        "bridge_token_places_version", "bridge_token_places", ["list_number", "version", "place"], unique=False
    )
    op.create_index("ix_bridge_token_places_expires", "bridge_token_places", ["expires"], unique=False)
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
        sa.Column("organisation", sa.String(length=64), server_default="home", nullable=False),
        sa.Column("operates", sa.String(length=64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("username"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("bridge_users")
    op.drop_table("bridge_trusted_issuers")
    op.drop_table("bridge_tokens")
    op.drop_table("bridge_token_places")
