"""Tables of enrolment tokens, attested workloads, and keys that wait for somebody's word."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from issuer.adapters.tables import metadata

tokens: Final = Table(
    "issuer_enrolment_tokens",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("template", String(64), nullable=False),
    Column("groups", Text, nullable=False),
    Column("owner", String(256), nullable=False),
    Column("needs_approval", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("by", String(256), nullable=False),
    Column("ended", BigInteger),
    UniqueConstraint("digest"),
)
applications: Final = Table(
    "issuer_applications",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("did", String(256), nullable=False),
    Column("asking", String(8), nullable=False),
    Column("source", String(16), nullable=False),
    Column("source_id", String(64), nullable=False),
    Column("owner", String(256), nullable=False),
    Column("by", String(256), nullable=False),
    Column("asked", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("decided", BigInteger),
    Column("decided_by", String(256)),
    Column("reason", Text),
    UniqueConstraint("did"),  # a key asks once
    Index("issuer_applications_agent", "organisation", "agent_id"),
    Index("issuer_applications_verdict", "organisation", "verdict", "id"),
)
policies: Final = Table(
    "issuer_approval_policies",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("template", String(64), primary_key=True),  # "" for all of the organisation
    Column("needs_approval", Integer, nullable=False),
)
rules: Final = Table(
    "issuer_attestation_rules",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("issuer", String(512), nullable=False),
    Column("content", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("by", String(256), nullable=False),
    Index("issuer_attestation_rules_issuer", "organisation", "issuer"),
)
workloads: Final = Table(
    "issuer_workloads",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("rule", String(64), primary_key=True),
    Column("workload", String(64), primary_key=True),  # digest of issuer, subject and name
    Column("agent_id", String(64), nullable=False),
)
