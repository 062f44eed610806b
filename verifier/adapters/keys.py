"""The bridge's signing keys, found through its metadata (RFC 8414)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from did_agent.adapters.jwks import RemoteKeys
from did_agent.clock import Clock
from did_agent.errors import KeysUnavailable, WrongKey
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON

MAX_AGE: Final = timedelta(seconds=60)  # a key that left the JWKS is believed no longer (KEY-03)


def metadata_url(issuer: str) -> str:
    """Return where an issuer's metadata lies: the well-known part goes between host and path (RFC 8414, 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"


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
