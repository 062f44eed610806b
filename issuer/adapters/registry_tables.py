"""Tables of the registry beside the agents themselves: histories, blueprints, groups, imports and switches."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from issuer.adapters.tables import metadata

history: Final = Table(
    "issuer_agent_history",
    metadata,
    # SQLite numbers rows by itself only under exactly this type.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organisation", String(64), nullable=False),
    Column("agent_id", String(64), nullable=False),
    Column("event", String(16), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("issuer_agent_history_agent", "organisation", "agent_id", "seq"),
)
templates: Final = Table(
    "issuer_templates",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("is_current", Integer, nullable=False),
    Column("sponsor", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("redirect_uris", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("by", String(256), nullable=False),
    Index("issuer_templates_current", "organisation", "is_current", "name"),
)
groups: Final = Table(
    "issuer_groups",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("description", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)
imports: Final = Table(
    "issuer_imports",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("agent_id", String(64), nullable=False),
)
switches: Final = Table(
    "issuer_switches",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("stopped", Integer, nullable=False),
    Column("lifted", BigInteger),
    Column("lifted_by", String(256)),
    Column("on_for", String(128), unique=True),  # whom it covers while it is on: never two switches for the same
    Index("issuer_switches_on", "organisation", "lifted", "scope"),
)
stops: Final = Table(
    "issuer_switch_stops",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("switch_id", String(64), primary_key=True),
    Column("agent_id", String(64), primary_key=True),
    Index("issuer_switch_stops_agent", "organisation", "agent_id"),
)
