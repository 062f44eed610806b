"""Trusted issuers outside this deployment: how they are stored, and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bridge.model.federation import TrustedIssuer
from did_agent.keys.public import PublicKey


class ForeignKeys(Protocol):
    """Keys of trusted issuers. Raises: WrongKey, KeysUnavailable."""

    async def find(self, issuer: TrustedIssuer, kid: object) -> PublicKey: ...


class Federation(Protocol):
    """The stored side of federation, part of every transaction."""

    async def trusted_issuer(self, issuer: str) -> TrustedIssuer | None: ...
    async def trusted_issuers(self) -> Sequence[TrustedIssuer]: ...
    async def put_trusted_issuer(self, trusted: TrustedIssuer) -> None: ...
    async def delete_trusted_issuer(self, issuer: str) -> bool: ...

    # The account of the person whom `issuer` calls `subject`, and how the two become one (login, or the operator).
    async def username_of(self, issuer: str, subject: str) -> str | None: ...
    async def link_user(self, issuer: str, subject: str, username: str) -> None: ...
