"""The issuer's metadata, and the tables that more than one topic reads."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

from did_agent.adapters.outbox import outbox_table
from did_agent.adapters.sql import single_use_table

metadata: Final = MetaData()
outbox: Final = outbox_table(metadata, "issuer")
single_use: Final = single_use_table(metadata, "issuer")
agents: Final = Table(
    "issuer_agents",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("agent_id", String(64), primary_key=True),
    Column("skeleton", String(128), nullable=False),
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
    Index("issuer_agents_name", "organisation", "name"),
    Index("issuer_agents_state", "organisation", "state", "agent_id"),
    Index("issuer_agents_owner", "organisation", "owner", "agent_id"),
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
    UniqueConstraint("id"),
    UniqueConstraint("list_number", "list_index"),
    Index("issuer_credentials_agent", "organisation", "agent_id", "issued"),
    Index("issuer_credentials_issued", "organisation", "issued", "id"),
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
