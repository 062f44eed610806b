"""Tables of the issuer, 2 of 2."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
works_from = "0002"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "issuer_offers",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("configurations", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("enrols", sa.Integer(), nullable=False),
        sa.Column("needs_approval", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(length=256), nullable=True),
        sa.Column("handle_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=True),
        sa.Column("tx_digest", sa.String(length=64), nullable=True),
        sa.Column("attempts_left", sa.Integer(), nullable=False),
        sa.Column("code_spent", sa.Integer(), nullable=False),
        sa.Column("issued", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=256), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("code_digest"),
        sa.UniqueConstraint("handle_digest"),
    )
    op.create_index("issuer_offers_agent", "issuer_offers", ["organisation", "agent_id", "created"], unique=False)
    op.create_index("issuer_offers_created", "issuer_offers", ["organisation", "created", "id"], unique=False)
    op.create_index("issuer_offers_id", "issuer_offers", ["id"], unique=True)
    op.create_table(
        "issuer_organisations",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("dual_control", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "issuer_outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "issuer_principals",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("roles", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("sponsors", sa.Text(), nullable=False),
        sa.Column("named_by", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
    )
    op.create_table(
        "issuer_proposals",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("control", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("proposed", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("decided_by", sa.String(length=256), nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
    )
    op.create_index("issuer_proposals_proposed", "issuer_proposals", ["organisation", "proposed", "id"], unique=False)
    op.create_table(
        "issuer_requests",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("valid_seconds", sa.Integer(), nullable=True),
        sa.Column("max_depth", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=True),
        sa.Column("decided_by", sa.String(length=256), nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("credential_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
    )
    op.create_index("issuer_requests_agent", "issuer_requests", ["organisation", "agent_id", "created"], unique=False)
    op.create_index("issuer_requests_created", "issuer_requests", ["organisation", "created", "id"], unique=False)
    op.create_table(
        "issuer_retries",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "key"),
    )
    op.create_index("ix_issuer_retries_expires", "issuer_retries", ["expires"], unique=False)
    op.create_table(
        "issuer_role_assignments",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "kind", "target", "role"),
    )
    op.create_table(
        "issuer_roles",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("templates", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "name"),
    )
    op.create_table(
        "issuer_single_use",
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "key"),
    )
    op.create_index("ix_issuer_single_use_expires", "issuer_single_use", ["expires"], unique=False)
    op.create_table(
        "issuer_status_flips",
        sa.Column("list_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("list_number", "purpose", "place"),
    )
    op.create_index(
        "issuer_status_flips_version",
        "issuer_status_flips",
        ["list_number", "version", "purpose", "place"],
        unique=False,
    )
    op.create_table(
        "issuer_status_heads",
        sa.Column("list_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("list_number"),
    )
    op.create_table(
        "issuer_status_lists",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=256), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("handed", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("open_for", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("open_for"),
    )
    op.create_index("issuer_status_lists_organisation", "issuer_status_lists", ["organisation", "number"], unique=False)
    op.create_table(
        "issuer_switch_stops",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("switch_id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "switch_id", "agent_id"),
    )
    op.create_index("issuer_switch_stops_agent", "issuer_switch_stops", ["organisation", "agent_id"], unique=False)
    op.create_table(
        "issuer_switches",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("stopped", sa.Integer(), nullable=False),
        sa.Column("lifted", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(length=256), nullable=True),
        sa.Column("on_for", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("on_for"),
    )
    op.create_index("issuer_switches_on", "issuer_switches", ["organisation", "lifted", "scope"], unique=False)
    op.create_table(
        "issuer_templates",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("is_current", sa.Integer(), nullable=False),
        sa.Column("sponsor", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "name", "version"),
    )
    op.create_index(
        "issuer_templates_current", "issuer_templates", ["organisation", "is_current", "name"], unique=False
    )
    op.create_table(
        "issuer_trust_lines",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id"),
    )
    op.create_index("issuer_trust_lines_order", "issuer_trust_lines", ["organisation", "version"], unique=False)
    op.create_table(
        "issuer_trust_versions",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation"),
    )
    op.create_table(
        "issuer_vc_api",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("list_index", sa.Integer(), nullable=True),
        sa.Column("revocation", sa.Boolean(), nullable=False),
        sa.Column("suspension", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("list_index"),
    )
    op.create_table(
        "issuer_webhook_deliveries",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("gives_up", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "endpoint_id", "id"),
    )
    op.create_index(
        "issuer_webhook_deliveries_due", "issuer_webhook_deliveries", ["state", "next_attempt"], unique=False
    )
    op.create_index(
        "issuer_webhook_deliveries_newest",
        "issuer_webhook_deliveries",
        ["organisation", "endpoint_id", "created"],
        unique=False,
    )
    op.create_table(
        "issuer_webhook_endpoints",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("scheme", sa.String(length=8), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("disabled", sa.Text(), nullable=True),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id"),
    )
    op.create_table(
        "issuer_webhook_topics",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "topic", "endpoint_id"),
    )
    op.create_table(
        "issuer_workloads",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("workload", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "rule", "workload"),
    )


def downgrade(op: Operations) -> None:
    op.drop_table("issuer_workloads")
    op.drop_table("issuer_webhook_topics")
    op.drop_table("issuer_webhook_endpoints")
    op.drop_table("issuer_webhook_deliveries")
    op.drop_table("issuer_vc_api")
    op.drop_table("issuer_trust_versions")
    op.drop_table("issuer_trust_lines")
    op.drop_table("issuer_templates")
    op.drop_table("issuer_switches")
    op.drop_table("issuer_switch_stops")
    op.drop_table("issuer_status_lists")
    op.drop_table("issuer_status_heads")
    op.drop_table("issuer_status_flips")
    op.drop_table("issuer_single_use")
    op.drop_table("issuer_roles")
    op.drop_table("issuer_role_assignments")
    op.drop_table("issuer_retries")
    op.drop_table("issuer_requests")
    op.drop_table("issuer_proposals")
    op.drop_table("issuer_principals")
    op.drop_table("issuer_outbox")
    op.drop_table("issuer_organisations")
    op.drop_table("issuer_offers")
