"""The issuer's metadata, and the tables that more than one topic reads."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, text

from did_agent.adapters.outbox import outbox_table
from did_agent.adapters.sql import single_use_table


def _few(table: str, column: str, *by: str) -> Index:
    some = text(f"{column} IS NOT NULL")
    order = by or ("organisation", "issued", "id")
    return Index(f"{table}_{column}", *order, postgresql_where=some, sqlite_where=some)


metadata: Final = MetaData()
outbox: Final = outbox_table(metadata, "issuer")
single_use: Final = single_use_table(metadata, "issuer")
agents: Final = Table(
    "issuer_agents",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("agent_id", String(64), primary_key=True),
    # Compared byte by byte everywhere, so that a range of it is what begins with a text.
    Column("skeleton", String(128).with_variant(String(128, collation="C"), "postgresql"), nullable=False),
    Column("did", String(256), unique=True),  # one agent of one organisation holds a key
    Column("name", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("sponsor", Text, nullable=False),
    Column("owner", String(256), nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("redirect_uris", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("template", String(64)),
    Column("custody", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    UniqueConstraint("organisation", "skeleton"),
    UniqueConstraint("agent_id"),
    Index("issuer_agents_name", "organisation", "name", "agent_id"),
    Index("issuer_agents_state", "organisation", "state", "agent_id"),
    Index("issuer_agents_owner", "organisation", "owner", "agent_id"),
    Index("issuer_agents_sponsor", "organisation", "sponsor", "agent_id"),
    Index("issuer_agents_template", "organisation", "template", "agent_id"),
)
labels: Final = Table(
    "issuer_labels",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),  # tag, group
    Column("value", String(64), primary_key=True),
    Column("agent_id", String(64), primary_key=True),
    Index("issuer_labels_agent", "organisation", "agent_id"),
)
grants: Final = Table(
    "issuer_credentials",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("did", String(256), nullable=False),
    Column("document", Text, nullable=False),
    Column("issued", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("list_number", Integer, nullable=False),
    Column("list_index", Integer, nullable=False),
    Column("revoked", BigInteger),
    Column("suspended", BigInteger),  # for itself
    Column("renewed_to", String(64)),
    Column("template", String(64)),  # what it was granted from
    Column("template_version", Integer),
    Column("role", String(64)),
    Column("request_id", String(64)),
    Column("renewable_until", BigInteger),
    Column("begun", String(64)),  # the first of its line; null for that one itself
    UniqueConstraint("id"),
    UniqueConstraint("list_number", "list_index"),
    Index("issuer_credentials_role", "organisation", "role", "agent_id"),
    Index("issuer_credentials_template", "organisation", "template"),
    Index("issuer_credentials_agent", "organisation", "agent_id", "issued"),
    Index("issuer_credentials_issued", "organisation", "issued", "id"),
    Index("issuer_credentials_ends", "organisation", "valid_until"),
    # Few of many, which a list would look for among all.
    _few("issuer_credentials", "revoked"),
    _few("issuer_credentials", "suspended"),
    _few("issuer_credentials", "begun", "organisation", "begun"),
)
delegations: Final = Table(  # credentials that agents made for others, with a place in a list of ours
    "issuer_delegations",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("delegator", String(256), nullable=False),
    Column("parent_id", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("subject_id", String(64)),
    Column("depth", Integer, nullable=False),
    Column("max_depth", Integer, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("list_number", Integer, nullable=False),
    Column("list_index", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    UniqueConstraint("id"),
    UniqueConstraint("list_number", "list_index"),
    Index("issuer_delegations_agent", "organisation", "agent_id", "created"),
    Index("issuer_delegations_parent", "organisation", "parent_id"),
    Index("issuer_delegations_subject", "subject_id"),
)
notices: Final = Table(
    "issuer_notices",
    metadata,
    # SQLite numbers rows by itself only under exactly this type.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
