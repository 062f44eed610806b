"""Signing keys of the bridge and of other issuers, found through their metadata (RFC 8414; OpenID Discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from did_agent.adapters.jwks import RemoteKeys, readable_keys
from did_agent.clock import Clock
from did_agent.errors import KeysUnavailable, PeerUnavailable, WrongKey
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON

MAX_AGE: Final = timedelta(seconds=60)  # a key that left the JWKS is believed no longer (KEY-03)
RETRY: Final = timedelta(seconds=1)  # strangers' tokens do not make us knock more often at a door that is shut
FOREIGN_MAX_AGE: Final = timedelta(minutes=5)  # the same, of issuers that are not asked so often


def metadata_url(issuer: str) -> str:
    """Return where an issuer's metadata lies: the well-known part goes between host and path (RFC 8414, 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


class IssuerKeys:
    """Keys of the one issuer we believe, by `kid`."""

    def __init__(self, issuer: str, fetcher: FetchJSON, *, clock: Clock) -> None:
        self._issuer, self._fetcher = issuer, fetcher
        self._keys = RemoteKeys(self._locate, fetcher, clock=clock, max_age=MAX_AGE)

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`; a token without one is refused.

        Raises: WrongKey, KeysUnavailable.
        """
        if not isinstance(kid, str):
            raise WrongKey("a token of this issuer names its key")
        return await self._keys.find(kid)

    async def _locate(self) -> str:
        metadata = await self._fetcher.get_json(metadata_url(self._issuer))
        # Character by character: a document for another issuer must not be used (RFC 8414, 3.3).
        location = metadata.get("jwks_uri")
        if metadata.get("issuer") != self._issuer or not isinstance(location, str):
            raise KeysUnavailable("the metadata names another issuer, or no keys")
        return location


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return where the metadata of any issuer may lie, in the order in which MCP clients look."""
    parts = urlsplit(issuer)
    inserted = f"{parts.scheme}://{parts.netloc}/.well-known/openid-configuration{parts.path.rstrip('/')}"
    appended = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    return tuple(dict.fromkeys((metadata_url(issuer), inserted, appended)))


class ForeignKeys:
    """Keys of an issuer beside the bridge, by `kid`; fetched when its first token comes in."""

    def __init__(self, issuer: str, fetcher: FetchJSON, *, clock: Clock, jwks_uri: str | None = None) -> None:
        self._issuer, self._fetcher, self._jwks_uri = issuer, fetcher, jwks_uri
        self._keys = RemoteKeys(self._locate, fetcher, clock=clock, max_age=FOREIGN_MAX_AGE, retry=RETRY)

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`; of an issuer with one key also that of a token that names none.

        Raises: WrongKey, KeysUnavailable.
        """
        return await self._keys.find(kid)

    async def _locate(self) -> str:
        if self._jwks_uri is not None:
            return self._jwks_uri
        failures = []
        for url in metadata_urls(self._issuer):
            try:
                metadata = await self._fetcher.get_json(url)
            except PeerUnavailable as error:
                failures.append(error.detail)
                continue
            location = metadata.get("jwks_uri")
            # A document that names somebody else ends the search: whoever answers there is not this issuer.
            if metadata.get("issuer") != self._issuer or not isinstance(location, str):
                raise KeysUnavailable("the metadata names another issuer, or no keys")
            return location
        raise KeysUnavailable(f"no metadata of {self._issuer}: {'; '.join(failures)}")


class StatedKeys:
    """Keys of an issuer that the operator wrote down; nothing is fetched."""

    def __init__(self, jwks: Mapping[str, object]) -> None:
        self._keys = readable_keys(jwks)

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`; of an issuer with one key also that of a token that names none.

        Raises: WrongKey.
        """
        if kid is not None and not isinstance(kid, str):
            raise WrongKey("kid is not a string")
        try:
            return self._keys[kid]
        except KeyError as error:
            raise WrongKey("the issuer has no such key, or several and the token names none") from error
