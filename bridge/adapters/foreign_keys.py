"""Keys of trusted issuers, as the bridge asks for them."""

from __future__ import annotations

from bridge.model.federation import TrustedIssuer
from did_agent.adapters.foreign_keys import ForeignKeys
from did_agent.clock import Clock
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON


class ForeignKeysHTTP:
    """Implements `bridge.ports.federation.ForeignKeys`."""

    def __init__(self, fetcher: FetchJSON, *, clock: Clock) -> None:
        self._keys = ForeignKeys(fetcher, clock=clock)

    async def find(self, issuer: TrustedIssuer, kid: object) -> PublicKey:
        """Return a key of an issuer.

        Raises: WrongKey, KeysUnavailable.
        """
        return await self._keys.find(issuer.issuer, issuer.jwks_uri, kid)
