"""What the verifier needs from the world; `verifier.adapters` makes it real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from did_agent.audit.event import AuditEvent
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.token_status import TokenStatusReference
from did_agent.keys.public import PublicKey
from did_agent.policy.active import ActivePolicy
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.descoping import Mark
from did_agent.proof.jose import UnverifiedJWS
from did_agent.tokens.tool_pins import Definition, Pin
from verifier.http import Shown
from verifier.marks import Marked
from verifier.model import Entry, PresentedSession


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


class PolicySource(Protocol):
    """The policy in force."""

    async def ready(self) -> None:
        """Return when there is a first answer, or it is no use to wait longer."""
        ...

    def current(self, now: datetime) -> ActivePolicy:
        """Return the policy that counts now.

        Raises: PolicyUnavailable, PolicyStale when nobody confirmed it for too long.
        """
        ...


class Risks(Protocol):
    """How risky callers are, as far as we have heard."""

    def risk_of(self, caller: VerifiedCaller, now: datetime) -> int:
        """Return the highest risk, 0 to 100, that is signalled of anybody involved."""
        ...


class Marks(Protocol):
    """Which rules hold since a tool was called, durably and over all guards that share it."""

    async def claim(self, looked: Sequence[str], marks: Sequence[Mark], *, now: datetime, by: str) -> Marked | str:
        """Make all `marks` at once, or return one of the keys `looked` that stands and make none.

        `by` is ours and fresh.  Raises: StoreUnavailable.
        """
        ...

    async def release(self, marked: Marked) -> None:
        """Put back what stood before a claim, where nobody marked it again since.

        Raises: StoreUnavailable.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; the next claim makes new ones."""
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


class TokenStatuses(Protocol):
    """What one issuer says of its tokens since it signed them."""

    async def require_valid(self, reference: TokenStatusReference, now: datetime) -> None:
        """Return when the token still counts.

        Raises: Revoked, Suspended, StatusNotVerified, StatusUnavailable.
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


class SessionStore(Protocol):
    """Sessions that presentations were swapped for, durably and over all processes of a guard."""

    async def save(self, session: PresentedSession) -> None:
        """Keep a session until it ends; of one holder and in all only so many, the oldest going first.

        Raises: StoreUnavailable.
        """
        ...

    async def find(self, identifier: str) -> PresentedSession | None:
        """Return a session that has not ended.

        Raises: StoreUnavailable.
        """
        ...


class ToolPins(Protocol):
    """What operators approved of a server's tools."""

    def approved(self) -> Mapping[str, Pin] | None:
        """Return the approved tools by name; None where nothing is pinned."""
        ...


class Sightings(Protocol):
    """Where an operator finds what a server's tools are."""

    def keep(self, tools: Sequence[Definition]) -> None:
        """Keep a list of tools that differs from the last."""
        ...


class AuditSink(Protocol):
    """Keeps audit events durably until the ledger has them."""

    async def record(self, event: AuditEvent) -> None:
        """Return when the event is durable.

        Raises: AuditUnavailable; then what it records must not happen.
        """
        ...
