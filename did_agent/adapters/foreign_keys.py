"""Keys of issuers outside a deployment: from the JWKS an operator named, or found by OpenID Connect discovery."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from did_agent.adapters.jwks import RemoteKeys
from did_agent.clock import Clock
from did_agent.errors import KeysUnavailable
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON

MAX_AGE: Final = timedelta(minutes=5)  # a key that left a JWKS is believed no longer
MAX_ISSUERS: Final = 256  # issuers whose keys are kept


class ForeignKeys:
    """The keys of many issuers, each with its own address."""

    def __init__(self, fetcher: FetchJSON, *, clock: Clock) -> None:
        self._fetcher, self._clock = fetcher, clock
        self._known: dict[tuple[str, str | None], RemoteKeys] = {}

    async def find(self, issuer: str, jwks_uri: str | None, kid: object) -> PublicKey:
        """Return a key of an issuer, from `jwks_uri` or where its discovery document says.

        Raises: WrongKey, KeysUnavailable.
        """
        place = (issuer, jwks_uri)
        if place not in self._known:
            self._known[place] = RemoteKeys(
                lambda: self._locate(issuer, jwks_uri), self._fetcher, clock=self._clock, max_age=MAX_AGE
            )
            while len(self._known) > MAX_ISSUERS:
                del self._known[next(iter(self._known))]
        return await self._known[place].find(kid)

    async def _locate(self, issuer: str, jwks_uri: str | None) -> str:
        if jwks_uri is not None:
            return jwks_uri
        document = await self._fetcher.get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        location = document.get("jwks_uri")
        if document.get("issuer") != issuer or not isinstance(location, str):
            raise KeysUnavailable("the discovery document names another issuer, or no keys")
        return location
