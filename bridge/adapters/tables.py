"""The bridge's tables; times are seconds since the epoch, secrets are digests."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from did_agent.adapters.outbox import outbox_table
from did_agent.adapters.sql import single_use_table

metadata: Final = MetaData()
outbox: Final = outbox_table(metadata, "bridge")
single_use: Final = single_use_table(metadata, "bridge")

resources: Final = Table(
    "bridge_resources",
    metadata,
    Column("id", String(2048), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # JSON: scope -> plain words
    Column("built_in", Boolean, nullable=False),
)
users: Final = Table(
    "bridge_users",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("rights", Text, nullable=False),  # JSON: resource -> scopes
)
sessions: Final = Table(
    "bridge_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("username", String(128), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
)
login_failures: Final = Table(
    "bridge_login_failures",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("username", String(64), nullable=False, index=True),  # digest of what was typed
    Column("at", BigInteger, nullable=False),
)
codes: Final = Table(
    "bridge_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("username", String(128), nullable=False, index=True),
    Column("request", Text, nullable=False),  # JSON of the authorization request
    Column("scopes", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("token_id", String(64)),
)
tokens: Final = Table(
    "bridge_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client_id", String(256), nullable=False),
    Column("subject", String(2048), nullable=False),
    Column("resource", String(2048), nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("parent_id", String(64)),
)
# What each token was made from (DESIGN 8): credentials, agents, user, earlier token.
dependencies: Final = Table(
    "bridge_token_dependencies",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("depends_on", String(2048), primary_key=True),
    Index("bridge_token_dependencies_on", "depends_on"),
)
evidence: Final = Table(
    "bridge_evidence",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("documents", Text, nullable=False),
)
feed: Final = Table(
    "bridge_feed",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(64), nullable=False, unique=True),  # digest of issuer and event id
    Column("token", Text, nullable=False),
)
# One row.  Appending locks it, so entries become visible in the order of their numbers, without gaps; issuing a
# token shares the lock, so no token is made from something while its end is being written.
feed_head: Final = Table(
    "bridge_feed_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)
endings: Final = Table(
    "bridge_endings",
    metadata,
    Column("subject", String(2048), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
)
