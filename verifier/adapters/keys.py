"""The bridge's signing keys from its metadata and JWKS (RFC 8414, RFC 7517), cached and never evicted by a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from did_agent.clock import Clock
from did_agent.errors import BadKey, DidAgentError, KeysUnavailable, WrongKey
from did_agent.keys.jwk import parse_public_jwk
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON

REFRESH: Final = timedelta(seconds=30)  # an unknown kid asks again at most this often (TOK-03)
MAX_KEYS: Final = 32  # keys of one issuer


def metadata_url(issuer: str) -> str:
    """Return where an issuer's metadata lies: the well-known part goes between host and path (RFC 8414, 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"


class IssuerKeys:
    """Keys of the one issuer we believe, by `kid`."""

    def __init__(self, issuer: str, fetcher: FetchJSON, *, clock: Clock) -> None:
        self._issuer, self._fetcher, self._clock = issuer, fetcher, clock
        self._keys: Mapping[str, PublicKey] = {}
        self._asked: datetime | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`; a token without one is refused, keys are never tried in turn.

        Raises: WrongKey, KeysUnavailable.
        """
        if not isinstance(kid, str):
            raise WrongKey("a token of this issuer names its key")
        if kid not in self._keys:
            async with self._lock:
                if kid not in self._keys:
                    await self._refresh()
        try:
            return self._keys[kid]
        except KeyError as error:
            raise WrongKey("the issuer has no such key") from error

    async def _refresh(self) -> None:
        now = self._clock()
        if self._keys and self._asked is not None and now - self._asked < REFRESH:
            return
        try:
            found = await self._fetch()
        except DidAgentError as error:
            if self._keys:
                self._asked = now
                return  # the keys we have stay good
            raise KeysUnavailable(f"the keys of {self._issuer} cannot be had: {error.detail}") from error
        self._keys, self._asked = found, now

    async def _fetch(self) -> Mapping[str, PublicKey]:
        metadata = await self._fetcher.get_json(metadata_url(self._issuer))
        # Character by character: a document for another issuer must not be used (RFC 8414, 3.3).
        if metadata.get("issuer") != self._issuer:
            raise KeysUnavailable("the metadata names another issuer")
        location = metadata.get("jwks_uri")
        jwks = await self._fetcher.get_json(location if isinstance(location, str) else "")
        members = jwks.get("keys")
        if not isinstance(members, list) or len(members) > MAX_KEYS:
            raise KeysUnavailable("the JWKS holds no list of keys")
        found: dict[str, PublicKey] = {}
        for member in members:
            kid = member.get("kid") if isinstance(member, dict) else None
            try:
                key = parse_public_jwk(member)
            except BadKey:
                continue  # a key of a type we do not use
            if isinstance(kid, str):
                found[kid] = key
        return found
