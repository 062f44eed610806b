"""Tables of the bridge, 1 of 2."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None
works_from = "0002"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "bridge_askings",
        sa.Column("pair", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("agent", sa.String(length=2048), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("polled", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("allowed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pair"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_bridge_askings_agent", "bridge_askings", ["agent"], unique=False)
    op.create_index("ix_bridge_askings_asked", "bridge_askings", ["asked"], unique=False)
    op.create_index("ix_bridge_askings_expires", "bridge_askings", ["expires"], unique=False)
    op.create_index("ix_bridge_askings_polled", "bridge_askings", ["polled"], unique=False)
    op.create_index("ix_bridge_askings_username", "bridge_askings", ["username"], unique=False)
    op.create_table(
        "bridge_clients",
        sa.Column("id", sa.String(length=2048), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "bridge_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_bridge_codes_expires", "bridge_codes", ["expires"], unique=False)
    op.create_index("ix_bridge_codes_username", "bridge_codes", ["username"], unique=False)
    op.create_table(
        "bridge_consents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_consents_expires", "bridge_consents", ["expires"], unique=False)
    op.create_index("ix_bridge_consents_given", "bridge_consents", ["given"], unique=False)
    op.create_index("ix_bridge_consents_username", "bridge_consents", ["username"], unique=False)
    op.create_table(
        "bridge_counters",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_bridge_counters_expires", "bridge_counters", ["expires"], unique=False)
    op.create_table(
        "bridge_endings",
        sa.Column("subject", sa.String(length=2048), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_index("ix_bridge_endings_at", "bridge_endings", ["at"], unique=False)
    op.create_table(
        "bridge_evidence",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("documents", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "bridge_feed",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "bridge_feed_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "bridge_identities",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    op.create_index("ix_bridge_identities_username", "bridge_identities", ["username"], unique=False)
    op.create_table(
        "bridge_lendings",
        sa.Column("taker", sa.String(length=64), nullable=False),
        sa.Column("giver", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("taker", "giver"),
    )
    op.create_index("ix_bridge_lendings_since", "bridge_lendings", ["since"], unique=False)
    op.create_table(
        "bridge_login_failures",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_bridge_login_failures_at", "bridge_login_failures", ["at"], unique=False)
    op.create_index("ix_bridge_login_failures_username", "bridge_login_failures", ["username"], unique=False)
    op.create_table(
        "bridge_operators",
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("did"),
    )
    op.create_index("ix_bridge_operators_added", "bridge_operators", ["added"], unique=False)
    op.create_table(
        "bridge_outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "bridge_passkeys",
        sa.Column("id", sa.String(length=2048), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("signatures", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_passkeys_created", "bridge_passkeys", ["created"], unique=False)
    op.create_index("ix_bridge_passkeys_username", "bridge_passkeys", ["username"], unique=False)
    op.create_table(
        "bridge_pending_logins",
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("back_to", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state"),
    )
    op.create_index("ix_bridge_pending_logins_expires", "bridge_pending_logins", ["expires"], unique=False)
    op.create_table(
        "bridge_policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("cases", sa.Text(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("restores", sa.Integer(), nullable=True),
        sa.Column("approvers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "bridge_policy_approvals",
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=2048), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "operator"),
    )
    op.create_table(
        "bridge_pushed_requests",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_bridge_pushed_requests_expires", "bridge_pushed_requests", ["expires"], unique=False)
    op.create_table(
        "bridge_refresh_families",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=2048), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_refresh_families_actor", "bridge_refresh_families", ["actor"], unique=False)
    op.create_index("ix_bridge_refresh_families_code", "bridge_refresh_families", ["code"], unique=False)
    op.create_index("ix_bridge_refresh_families_expires", "bridge_refresh_families", ["expires"], unique=False)
    op.create_index("ix_bridge_refresh_families_rotated", "bridge_refresh_families", ["rotated"], unique=False)
    op.create_index("ix_bridge_refresh_families_username", "bridge_refresh_families", ["username"], unique=False)
    op.create_table(
        "bridge_registrations",
        sa.Column("client_id", sa.String(length=2048), nullable=False),
        sa.Column("token_digest", sa.Text(), nullable=False),
        sa.Column("registered", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id"),
    )
    op.create_index("ix_bridge_registrations_registered", "bridge_registrations", ["registered"], unique=False)
    op.create_index("ix_bridge_registrations_used", "bridge_registrations", ["used"], unique=False)
    op.create_table(
        "bridge_resources",
        sa.Column("id", sa.String(length=2048), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("admits", sa.Text(), nullable=False),
        sa.Column("signing_alg", sa.Text(), nullable=False),
        sa.Column("built_in", sa.Boolean(), nullable=True),
        sa.Column("organisation", sa.String(length=64), server_default="home", nullable=False),
        sa.Column("shared_with", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "bridge_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_bridge_sessions_created", "bridge_sessions", ["created"], unique=False)
    op.create_index("ix_bridge_sessions_seen", "bridge_sessions", ["seen"], unique=False)
    op.create_index("ix_bridge_sessions_username", "bridge_sessions", ["username"], unique=False)
    op.create_table(
        "bridge_signals",
        sa.Column("pair", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raised", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair"),
    )
    op.create_index("ix_bridge_signals_expires", "bridge_signals", ["expires"], unique=False)
    op.create_index("ix_bridge_signals_raised", "bridge_signals", ["raised"], unique=False)
    op.create_table(
        "bridge_signing_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("activates", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid"),
        sa.UniqueConstraint("algorithm", "generation"),
    )
    op.create_table(
        "bridge_single_use",
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "key"),
    )
    op.create_index("ix_bridge_single_use_expires", "bridge_single_use", ["expires"], unique=False)
    op.create_table(
        "bridge_tasks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=2048), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("client_id", sa.String(length=2048), nullable=False),
        sa.Column("agents", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sa.Column("completed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_tasks_client_id", "bridge_tasks", ["client_id"], unique=False)
    op.create_index("ix_bridge_tasks_expires", "bridge_tasks", ["expires"], unique=False)
    op.create_index("ix_bridge_tasks_principal", "bridge_tasks", ["principal"], unique=False)
    op.create_index("ix_bridge_tasks_started", "bridge_tasks", ["started"], unique=False)
    op.create_table(
        "bridge_token_dependencies",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("depends_on", sa.String(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "depends_on"),
    )
    op.create_index(
        "ix_bridge_token_dependencies_depends_on", "bridge_token_dependencies", ["depends_on"], unique=False
    )
    op.create_table(
        "bridge_token_lists",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("handed", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("open", sa.String(length=8), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("open"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("bridge_token_lists")
    op.drop_table("bridge_token_dependencies")
    op.drop_table("bridge_tasks")
    op.drop_table("bridge_single_use")
    op.drop_table("bridge_signing_keys")
    op.drop_table("bridge_signals")
    op.drop_table("bridge_sessions")
    op.drop_table("bridge_resources")
    op.drop_table("bridge_registrations")
    op.drop_table("bridge_refresh_families")
    op.drop_table("bridge_pushed_requests")
    op.drop_table("bridge_policy_approvals")
    op.drop_table("bridge_policies")
    op.drop_table("bridge_pending_logins")
    op.drop_table("bridge_passkeys")
    op.drop_table("bridge_outbox")
    op.drop_table("bridge_operators")
    op.drop_table("bridge_login_failures")
    op.drop_table("bridge_lendings")
    op.drop_table("bridge_identities")
    op.drop_table("bridge_feed_head")
    op.drop_table("bridge_feed")
    op.drop_table("bridge_evidence")
    op.drop_table("bridge_endings")
    op.drop_table("bridge_counters")
    op.drop_table("bridge_consents")
    op.drop_table("bridge_codes")
    op.drop_table("bridge_clients")
    op.drop_table("bridge_askings")
