"""Where the parts of a verdict come from: the ledger and the bridge as somebody who may read, the rest in public."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx2

from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.http import GuardedFetcher, is_loopback, peer_client
from did_agent.adapters.jwks import readable_keys
from did_agent.adapters.status import TOKEN_TYPE, StatusLists
from did_agent.adapters.trust_list import PulledTrust
from did_agent.client.bundle import Call, EvidenceClient
from did_agent.clock import Clock, system_clock
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.token_status import TokenStatusReference, check_token_status, verify_status_list_token
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import DidAgentError, WrongKey
from did_agent.keys.public import PublicKey

Keys = Mapping[str | None, PublicKey]
_Row = Mapping[str, Any]
_Documents = Sequence[Mapping[str, Any]]


class Sources(Protocol):
    """Where the rest comes from; each raises Unavailable when it cannot be had."""

    @property
    def bridge(self) -> str:
        """The issuer identifier of the bridge."""
        ...

    async def rows(self, identifier: str) -> Sequence[_Row]:
        """Return the rows of an event or a request.  Raises: NotFound."""
        ...

    async def decided(self, token_id: str, agent: str) -> Sequence[_Row]:
        """Return the newest rows of a token."""
        ...

    async def evidence(self, digest: str) -> _Documents | None:
        """Return the credentials behind a digest, if the bridge has them."""
        ...

    async def keys(self) -> Keys:
        """Return the bridge's public keys."""
        ...

    async def trusted(self, now: datetime) -> TrustedIssuers:
        """Return who is trusted for what."""
        ...

    async def lists(
        self, urls: Iterable[str], trusted: TrustedIssuers, now: datetime
    ) -> Mapping[str, VerifiedStatusList]:
        """Return status lists."""
        ...

    async def require_valid(self, reference: TokenStatusReference, keys: Keys, now: datetime) -> None:
        """Return when the list of the bridge says that a token counts.  Raises: Revoked, Suspended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked beside."""

    now: datetime
    audience: str | None = None  # whom it was shown to; None: whom it says it is for
    tool: str | None = None
    arguments: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The parties of one deployment, as an operator or auditor asks them; implements `Sources`."""

    bridge: str
    issuer: str
    ledger: Call  # with `audit:read`
    anchors: frozenset[str]  # DIDs of the issuers that are trusted here
    clock: Clock = system_clock

    async def rows(self, identifier: str) -> Sequence[_Row]:
        """Return the rows of an event or a request.

        Raises: NotFound, ServerRefused, PeerUnavailable.
        """
        return await self._evidence.rows(identifier)

    async def decided(self, token_id: str, agent: str) -> Sequence[_Row]:
        """Return the newest rows of a token.

        Raises: ServerRefused, PeerUnavailable.
        """
        return [row for row in await self._evidence.acted(agent) if row["event"]["token_id"] == token_id]

    async def evidence(self, digest: str) -> _Documents | None:
        """Return the credentials behind a digest, if the bridge has them.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._evidence.evidence(digest)

    async def keys(self) -> Keys:
        """Return the bridge's public keys.

        Raises: PeerUnavailable, KeysUnavailable.
        """
        return readable_keys((await self._evidence.bridge_keys())["jwks"])

    async def trusted(self, now: datetime) -> TrustedIssuers:
        """Return who is trusted for what; without the list of the issuer, the anchors alone."""
        fetcher, here = self._fetcher(), is_loopback(self.issuer)
        try:
            with tempfile.TemporaryDirectory() as folder:
                pulled = PulledTrust(
                    self.issuer,
                    anchors=self.anchors,
                    file=Path(folder) / "trust-list",
                    resolver=DIDWebResolver(fetcher, clock=self.clock, allow_loopback=here),
                    clock=self.clock,
                )
                async with peer_client() as http:
                    await pulled.ask(http)
                return pulled.current(now)
        except (DidAgentError, httpx2.HTTPError):
            return TrustedIssuers.of(*sorted(self.anchors))
        finally:
            await fetcher.aclose()

    async def lists(
        self, urls: Iterable[str], trusted: TrustedIssuers, now: datetime
    ) -> Mapping[str, VerifiedStatusList]:
        """Return status lists.

        Raises: StatusUnavailable.
        """
        fetcher = self._fetcher()
        try:
            return await StatusLists(fetcher, trusted=trusted, max_age=timedelta(0), clock=lambda: now).get(urls)
        finally:
            await fetcher.aclose()

    async def require_valid(self, reference: TokenStatusReference, keys: Keys, now: datetime) -> None:
        """Return when the list of the bridge says that a token counts.

        Raises: Revoked, Suspended, StatusNotVerified, StatusUnavailable, PeerUnavailable.
        """

        def find_key(header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
            kid = header.get("kid")
            found = keys.get(kid if isinstance(kid, str) else None)
            if found is None:
                raise WrongKey("the bridge has no such key")
            return found

        fetcher = self._fetcher()
        try:
            text = await fetcher.get_text(reference.uri, accept=TOKEN_TYPE)
        finally:
            await fetcher.aclose()
        found = verify_status_list_token(
            text, expected_uri=reference.uri, expected_issuer=None, find_key=find_key, fetched_at=now, now=now
        )
        check_token_status(reference, found, now=now).require_valid()

    @property
    def _evidence(self) -> EvidenceClient:
        return EvidenceClient(self.ledger, self.bridge, self.clock)

    def _fetcher(self) -> GuardedFetcher:
        return GuardedFetcher(allow_loopback=is_loopback(self.bridge))
