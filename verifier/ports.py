"""What the verifier needs from the world; `verifier.adapters` makes it real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from did_agent.audit.event import AuditEvent
from did_agent.credential.status import VerifiedStatusList
from did_agent.keys.public import PublicKey
from did_agent.proof.jose import UnverifiedJWS
from verifier.http import Shown
from verifier.model import Entry


class Door(Protocol):
    """One form of credential."""

    def opens(self, shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether the credential has this form; `jws` is None when it is no compact JWS."""
        ...

    async def admit(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return who shows it.

        Raises: Malformed, VerificationError, Unavailable.
        """
        ...


class KeySource(Protocol):
    """The signing keys of one issuer of tokens that we believe."""

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`.

        Raises: WrongKey when the issuer has no such key, KeysUnavailable when that cannot be found out.
        """
        ...


class Revocations(Protocol):
    """What was revoked or suspended, as far as we have heard."""

    async def require_live(self, ids: Iterable[str], now: datetime) -> None:
        """Return when none of `ids` is revoked or suspended.

        Raises: Revoked, Suspended; StatusUnavailable when we have not heard for too long (REV-02).
        """
        ...


class StatusListSource(Protocol):
    """Verified status lists."""

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        """Return every list asked for.

        Raises: StatusUnavailable.
        """
        ...


class EvidenceSource(Protocol):
    """The signed credentials behind tokens."""

    async def get(self, digest: str) -> Sequence[Mapping[str, Any]]:
        """Return the credentials with this digest, leaf first.

        Raises: NotEvidenced, PeerUnavailable.
        """
        ...


class IntrospectionSource(Protocol):
    """What one issuer says of its opaque tokens (RFC 7662)."""

    async def ask(self, token: str) -> Mapping[str, object]:
        """Return the issuer's answer, or the one it gave a moment ago.

        Raises: PeerUnavailable.
        """
        ...

    def forget(self, token: str) -> None:
        """Drop the answer about a token that was revoked since."""
        ...


class AuditSink(Protocol):
    """Keeps audit events durably until the ledger has them."""

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is durable.

        Raises: AuditUnavailable; then what it records must not happen.
        """
        ...
