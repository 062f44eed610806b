"""Trusted issuers in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Column, String, Table, delete, select

from bridge.adapters.rows import Rows, digest_of
from bridge.adapters.tables import NAME, _key, _text, metadata
from bridge.model.federation import TrustedIssuer, WorkloadRule

trusted_issuers: Final = Table("bridge_trusted_issuers", metadata, _key("issuer", NAME), _text("document"))
# Who at a provider is which account here; the pair is kept as one digest, for either part may be long.
identities: Final = Table(
    "bridge_identities",
    metadata,
    _key("identity"),
    Column("username", String(128), nullable=False, index=True),
)


class FederationRows(Rows):
    """Implements `bridge.ports.federation.Federation`."""

    async def trusted_issuer(self, issuer: str) -> TrustedIssuer | None:
        rows = await self._rows(trusted_issuers, trusted_issuers.c.issuer == issuer)
        return _trusted(rows[0]) if rows else None

    async def trusted_issuers(self) -> Sequence[TrustedIssuer]:
        return [_trusted(row) for row in await self._rows(trusted_issuers)]

    async def put_trusted_issuer(self, trusted: TrustedIssuer) -> None:
        document = json.dumps(asdict(trusted), default=sorted)
        await self._put(trusted_issuers.c.issuer, trusted.issuer, {"document": document})

    async def delete_trusted_issuer(self, issuer: str) -> bool:
        table = trusted_issuers
        return bool((await self._do.execute(delete(table).where(table.c.issuer == issuer))).rowcount)

    async def username_of(self, issuer: str, subject: str) -> str | None:
        query = select(identities.c.username).where(identities.c.identity == _identity(issuer, subject))
        return (await self._do.execute(query)).scalar_one_or_none()

    async def link_user(self, issuer: str, subject: str, username: str) -> None:
        await self._put(identities.c.identity, _identity(issuer, subject), {"username": username})


def _identity(issuer: str, subject: str) -> str:
    return digest_of(json.dumps([issuer, subject]))


def _trusted(row: Mapping[str, Any]) -> TrustedIssuer:
    document = json.loads(row["document"])
    rules = (
        WorkloadRule(**{**rule, "scopes": None if rule["scopes"] is None else frozenset(rule["scopes"])})
        for rule in document["rules"]
    )
    return TrustedIssuer(**{**document, "rules": tuple(rules)})
