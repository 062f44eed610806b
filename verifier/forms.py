"""Joins the doors beside that of the bridge's tokens: other issuers, presentations, and sessions swapped for them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.clock import Clock
from did_agent.errors import KeysUnavailable, Misconfigured
from did_agent.keys.ed25519 import SigningKey
from did_agent.ports import SpendOnce
from did_agent.tokens.nonces import NonceRing
from verifier.adapters.introspection import IntrospectionHTTP
from verifier.adapters.keys import ForeignKeys, StatedKeys
from verifier.adapters.presented import PresentedSessions
from verifier.adapters.token_status import IssuerStatusLists
from verifier.doors.foreign import ForeignDoor, SignedIssuer
from verifier.doors.opaque import AskedIssuer, OpaqueDoor
from verifier.doors.presentation import PresentationDoor
from verifier.doors.session import SessionDoor
from verifier.issuers import ForeignIssuer
from verifier.ports import Door, KeySource, Revocations
from verifier.settings import VerifierSettings
from verifier.swap import Swap

Closing = Callable[[], Awaitable[None]]

NONCES: Final = b"nonces"
CHALLENGES: Final = b"challenges "


class NothingHeard:
    """Implements `Revocations` where there is no bridge whose feed could be heard."""

    async def require_live(self, ids: Iterable[str], now: datetime) -> None:
        """Return: what ends is told by status lists and by the issuers themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Opens doors for one resource."""

    resource: str
    key: SigningKey
    settings: VerifierSettings
    revocations: Revocations
    clock: Clock
    closing: list[Closing] = field(default_factory=list)  # what must be closed when the guard stops

    @property
    def nonces(self) -> NonceRing | None:
        """The nonces that DPoP proofs must carry, where the settings demand any."""
        return NonceRing(key=derived(self.key, NONCES)) if self.settings.dpop_nonce else None

    def foreign(self, issuers: Iterable[ForeignIssuer], *, bridge: str | None) -> tuple[Door, ...]:
        """Return the doors for tokens of other issuers; they stand before the bridge's, and know theirs by `iss`.

        Raises: Misconfigured.
        """
        signed: dict[str, SignedIssuer] = {}
        asked: dict[str, AskedIssuer] = {}
        for issuer in issuers:
            if issuer.issuer == bridge:
                raise Misconfigured(f"{bridge} is the bridge, and cannot be another issuer as well")
            at = issuer.introspection
            if at is None:
                signed[issuer.issuer] = self._signed(issuer)
            else:
                source = IntrospectionHTTP(issuer, at, key=self.key, clock=self.clock)
                self.closing.append(source.aclose)
                asked[issuer.issuer] = AskedIssuer(issuer=issuer, prefix=at.prefix, introspection=source)
        chains = self.settings.strict_delegation == "off"
        doors: list[Door] = []
        if signed:
            doors.append(ForeignDoor(resource=self.resource, issuers=signed, nonces=self.nonces, chains=chains))
        if asked:
            doors.append(
                OpaqueDoor(
                    resource=self.resource,
                    issuers=asked,
                    revocations=self.revocations,
                    nonces=self.nonces,
                    chains=chains,
                )
            )
        return tuple(doors)

    def swapping(self, door: PresentationDoor, *, replay: SpendOnce) -> tuple[SessionDoor, Swap]:
        """Return the door for sessions, and what opens them.

        Raises: StoreUnavailable.
        """
        sessions = PresentedSessions(self.settings.spool_file, clock=self.clock)
        swap = Swap(
            door=door,
            sessions=sessions,
            revocations=self.revocations,
            replay=replay,
            clock=self.clock,
            # Of this resource alone: guards that share a key must not take each other's challenges.
            challenge_key=derived(self.key, CHALLENGES + self.resource.encode()),
            nonces=self.nonces,
        )
        return SessionDoor(presentations=door, sessions=sessions, nonces=self.nonces), swap

    def _signed(self, issuer: ForeignIssuer) -> SignedIssuer:
        keys = self._keys(issuer)
        statuses = IssuerStatusLists(
            issuer.issuer,
            GuardedFetcher(allow_loopback=is_loopback(issuer.issuer)),
            keys=keys,
            max_age=timedelta(seconds=self.settings.status_max_age),
            clock=self.clock,
        )
        return SignedIssuer(issuer=issuer, keys=keys, statuses=statuses)

    def _keys(self, issuer: ForeignIssuer) -> KeySource:
        if issuer.jwks is not None:
            try:
                return StatedKeys(issuer.jwks)
            except KeysUnavailable as error:
                raise Misconfigured(f"the jwks of {issuer.issuer}: {error.detail}") from error
        fetcher = GuardedFetcher(allow_loopback=is_loopback(issuer.issuer))
        return ForeignKeys(issuer.issuer, fetcher, clock=self.clock, jwks_uri=issuer.jwks_uri)


def derived(key: SigningKey, purpose: bytes) -> bytes:
    """Return a secret for one purpose, the same in all processes that have the key."""
    return hmac.digest(key.seed(), b"did-agent guard " + purpose, hashlib.sha256)
