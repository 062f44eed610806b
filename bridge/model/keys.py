"""The bridge's signing keys, and how they become known, sign, fade and end (KEY-02)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

from did_agent.keys.public import PublicKey, SigningKey

KeyState = Literal["pending", "active", "retiring", "retired", "revoked"]
SigningAlgorithm = Literal["EdDSA", "ES256", "RS256"]
ALGORITHMS: Final[tuple[SigningAlgorithm, ...]] = ("EdDSA", "ES256", "RS256")
DEFAULT_ALGORITHM: Final[SigningAlgorithm] = "EdDSA"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRecord:
    """One key and its moments; its state follows from them and the time alone, so that all replicas agree."""

    kid: str
    algorithm: SigningAlgorithm
    generation: int  # the first key of an algorithm is 1
    public: Mapping[str, object]  # JWK
    provider: str  # who can open `sealed`
    sealed: str = field(repr=False)  # the private half as the provider keeps it; never in clear (KEY-01)
    activates: datetime  # when it begins to sign; published before
    replaced: datetime | None = None  # when its successor begins to sign
    revoked: datetime | None = None


class Signer(NamedTuple):
    """A key that signs now."""

    kid: str
    key: SigningKey


class Ring(Protocol):
    """The keys of this bridge as they stand at this moment."""

    def signer(self, algorithm: SigningAlgorithm = DEFAULT_ALGORITHM) -> Signer:
        """Return the active key.  Raises: KeysUnavailable."""

    def find(self, kid: object) -> PublicKey:
        """Return the key a token of ours was signed with.  Raises: WrongKey, KeysUnavailable."""

    def published(self) -> list[Mapping[str, object]]:
        """Return the JWKs that verifiers must know."""
