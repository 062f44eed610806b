"""The bridge's tables; times are seconds since the epoch, secrets are digests, structures are JSON."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, Text

from did_agent.adapters.outbox import outbox_table
from did_agent.adapters.sql import single_use_table
from did_agent.tokens.access_token import HOME

DIGEST: Final = 64  # characters of a digest or a `jti`
NAME: Final = 2_048  # characters of an identifier somebody else chose

metadata: Final = MetaData()
outbox: Final = outbox_table(metadata, "bridge")
single_use: Final = single_use_table(metadata, "bridge")


def _key(name: str, length: int = DIGEST) -> Column[str]:
    return Column(name, String(length), primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _owner() -> Column[str]:
    return Column("username", String(128), nullable=False, index=True)


def _organisation() -> Column[str]:
    return Column("organisation", String(64), nullable=False, server_default=HOME)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, index=True)


resources: Final = Table(
    "bridge_resources",
    metadata,
    _key("id", NAME),
    _text("name"),
    _text("scopes"),
    _text("binding"),
    _text("admits"),
    _text("signing_alg"),
    Column("built_in", Boolean),
    _organisation(),
    Column("shared_with", Text, nullable=False, server_default=""),
)
users: Final = Table(
    "bridge_users",
    metadata,
    _key("username", 128),
    _text("name"),
    _text("password_hash"),
    _text("rights"),
    _text("groups"),
    _organisation(),
    Column("operates", String(64), nullable=False, server_default=""),
)
sessions: Final = Table("bridge_sessions", metadata, _key("digest"), _owner(), _time("created"), _time("seen"))
login_failures: Final = Table(  # of the digest of what was typed
    "bridge_login_failures", metadata, Column("seq", Integer, primary_key=True), _owner(), _time("at")
)
codes: Final = Table("bridge_codes", metadata, _key("digest"), _owner(), _text("content"), _time("expires"))
tokens: Final = Table("bridge_tokens", metadata, _key("id"), _time("expires"))
# What each token was made from (DESIGN 8): credentials, agents, user, code or earlier token.
dependencies: Final = Table(
    "bridge_token_dependencies",
    metadata,
    _key("token_id"),
    Column("depends_on", String(NAME), primary_key=True, index=True),
)
evidence: Final = Table("bridge_evidence", metadata, _key("digest"), _text("documents"))
feed: Final = Table(
    "bridge_feed",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(DIGEST), nullable=False, unique=True),  # digest of issuer and event id
    _text("token"),
)
# One row.  Appending locks it, so entries become visible in the order of their numbers, without gaps; issuing a
# token shares the lock, so no token is made from something while its end is being written.
feed_head: Final = Table(
    "bridge_feed_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)
endings: Final = Table("bridge_endings", metadata, _key("subject", NAME), _text("kind"), _time("at"))
