"""Tables of the issuer, 1 of 2."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None
works_from = "0002"
BASELINE = True


def upgrade(op: Operations) -> None:
    op.create_table(
        "issuer_agent_history",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "issuer_agent_history_agent", "issuer_agent_history", ["organisation", "agent_id", "seq"], unique=False
    )
    op.create_table(
        "issuer_agent_keys",
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("did"),
    )
    op.create_index("issuer_agent_keys_agent", "issuer_agent_keys", ["organisation", "agent_id", "added"], unique=False)
    op.create_table(
        "issuer_agents",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column(
            "skeleton",
            sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("did", sa.String(length=256), nullable=True),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sponsor", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=True),
        sa.Column("custody", sa.String(length=16), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "agent_id"),
        sa.UniqueConstraint("agent_id"),
        sa.UniqueConstraint("did"),
        sa.UniqueConstraint("organisation", "skeleton"),
    )
    op.create_index("issuer_agents_name", "issuer_agents", ["organisation", "name", "agent_id"], unique=False)
    op.create_index("issuer_agents_owner", "issuer_agents", ["organisation", "owner", "agent_id"], unique=False)
    op.create_index("issuer_agents_sponsor", "issuer_agents", ["organisation", "sponsor", "agent_id"], unique=False)
    op.create_index("issuer_agents_state", "issuer_agents", ["organisation", "state", "agent_id"], unique=False)
    op.create_index("issuer_agents_template", "issuer_agents", ["organisation", "template", "agent_id"], unique=False)
    op.create_table(
        "issuer_applications",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("asking", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=256), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("did"),
    )
    op.create_index("issuer_applications_agent", "issuer_applications", ["organisation", "agent_id"], unique=False)
    op.create_index(
        "issuer_applications_verdict", "issuer_applications", ["organisation", "verdict", "id"], unique=False
    )
    op.create_table(
        "issuer_approval_policies",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("needs_approval", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "template"),
    )
    op.create_table(
        "issuer_attestation_rules",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "name"),
    )
    op.create_index(
        "issuer_attestation_rules_issuer", "issuer_attestation_rules", ["organisation", "issuer"], unique=False
    )
    op.create_table(
        "issuer_capability_templates",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("valid_seconds", sa.Integer(), nullable=False),
        sa.Column("max_depth", sa.Integer(), nullable=False),
        sa.Column("renewable_seconds", sa.Integer(), nullable=False),
        sa.Column("needs_approval", sa.Integer(), nullable=False),
        sa.Column("managers", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "name", "version"),
    )
    op.create_table(
        "issuer_credentials",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("list_index", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("suspended", sa.BigInteger(), nullable=True),
        sa.Column("renewed_to", sa.String(length=64), nullable=True),
        sa.Column("template", sa.String(length=64), nullable=True),
        sa.Column("template_version", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("renewable_until", sa.BigInteger(), nullable=True),
        sa.Column("begun", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("list_number", "list_index"),
    )
    op.create_index(
        "issuer_credentials_agent", "issuer_credentials", ["organisation", "agent_id", "issued"], unique=False
    )
    op.create_index(
        "issuer_credentials_begun",
        "issuer_credentials",
        ["organisation", "begun"],
        unique=False,
        postgresql_where=sa.text("begun IS NOT NULL"),
        sqlite_where=sa.text("begun IS NOT NULL"),
    )
    op.create_index("issuer_credentials_ends", "issuer_credentials", ["organisation", "valid_until"], unique=False)
    op.create_index("issuer_credentials_issued", "issuer_credentials", ["organisation", "issued", "id"], unique=False)
    op.create_index(
        "issuer_credentials_revoked",
        "issuer_credentials",
        ["organisation", "issued", "id"],
        unique=False,
        postgresql_where=sa.text("revoked IS NOT NULL"),
        sqlite_where=sa.text("revoked IS NOT NULL"),
    )
    op.create_index("issuer_credentials_role", "issuer_credentials", ["organisation", "role", "agent_id"], unique=False)
    op.create_index(
        "issuer_credentials_suspended",
        "issuer_credentials",
        ["organisation", "issued", "id"],
        unique=False,
        postgresql_where=sa.text("suspended IS NOT NULL"),
        sqlite_where=sa.text("suspended IS NOT NULL"),
    )
    op.create_index("issuer_credentials_template", "issuer_credentials", ["organisation", "template"], unique=False)
    op.create_table(
        "issuer_delegations",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("delegator", sa.String(length=256), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("max_depth", sa.Integer(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("list_index", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("list_number", "list_index"),
    )
    op.create_index(
        "issuer_delegations_agent", "issuer_delegations", ["organisation", "agent_id", "created"], unique=False
    )
    op.create_index("issuer_delegations_parent", "issuer_delegations", ["organisation", "parent_id"], unique=False)
    op.create_index("issuer_delegations_subject", "issuer_delegations", ["subject_id"], unique=False)
    op.create_table(
        "issuer_did_web",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "agent_id"),
    )
    op.create_index("issuer_did_web_agent", "issuer_did_web", ["agent_id"], unique=False)
    op.create_table(
        "issuer_enrolment_tokens",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("needs_approval", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=256), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "issuer_enrolments",
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.Column("challenge_digest", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id"),
    )
    op.create_table(
        "issuer_granting_policies",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("max_valid_seconds", sa.Integer(), nullable=False),
        sa.Column("manager_resources", sa.Text(), nullable=False),
        sa.Column("separation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation"),
    )
    op.create_table(
        "issuer_groups",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "name"),
    )
    op.create_table(
        "issuer_imports",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "key"),
    )
    op.create_table(
        "issuer_issuing_keys",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("activates", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.String(length=16), nullable=True),
        sa.Column("handover", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "did"),
        sa.UniqueConstraint("did"),
        sa.UniqueConstraint("organisation", "generation"),
    )
    op.create_table(
        "issuer_known_tools",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=2048), nullable=False),
        sa.Column("tools", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "resource"),
    )
    op.create_table(
        "issuer_labels",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "kind", "value", "agent_id"),
    )
    op.create_index("issuer_labels_agent", "issuer_labels", ["organisation", "agent_id"], unique=False)
    op.create_table(
        "issuer_notices",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "issuer_offer_deferred",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("offer_id", sa.String(length=64), nullable=False),
        sa.Column("configuration", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("did", sa.String(length=256), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_issuer_offer_deferred_expires", "issuer_offer_deferred", ["expires"], unique=False)
    op.create_index("ix_issuer_offer_deferred_offer_id", "issuer_offer_deferred", ["offer_id"], unique=False)
    op.create_table(
        "issuer_offer_notifications",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("offer_id", sa.String(length=64), nullable=False),
        sa.Column("credential_ids", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_issuer_offer_notifications_expires", "issuer_offer_notifications", ["expires"], unique=False)
    op.create_index("ix_issuer_offer_notifications_offer_id", "issuer_offer_notifications", ["offer_id"], unique=False)
    op.create_table(
        "issuer_offer_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("offer_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=256), nullable=True),
        sa.Column("jkt", sa.String(length=64), nullable=True),
        sa.Column("identifiers", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_issuer_offer_tokens_expires", "issuer_offer_tokens", ["expires"], unique=False)
    op.create_index("ix_issuer_offer_tokens_offer_id", "issuer_offer_tokens", ["offer_id"], unique=False)


def downgrade(op: Operations) -> None:
    op.drop_table("issuer_offer_tokens")
    op.drop_table("issuer_offer_notifications")
    op.drop_table("issuer_offer_deferred")
    op.drop_table("issuer_notices")
    op.drop_table("issuer_labels")
    op.drop_table("issuer_known_tools")
    op.drop_table("issuer_issuing_keys")
    op.drop_table("issuer_imports")
    op.drop_table("issuer_groups")
    op.drop_table("issuer_granting_policies")
    op.drop_table("issuer_enrolments")
    op.drop_table("issuer_enrolment_tokens")
    op.drop_table("issuer_did_web")
    op.drop_table("issuer_delegations")
    op.drop_table("issuer_credentials")
    op.drop_table("issuer_capability_templates")
    op.drop_table("issuer_attestation_rules")
    op.drop_table("issuer_approval_policies")
    op.drop_table("issuer_applications")
    op.drop_table("issuer_agents")
    op.drop_table("issuer_agent_keys")
    op.drop_table("issuer_agent_history")
