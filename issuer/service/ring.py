"""The keys organisations sign with, in memory: what every request asks, kept as the database has it (KEY-02, KEY-04).

An organisation that never had a second key is in no table: its first one is the issuer's own, or is made from that and
the organisation's name, so it lies nowhere, and replicas have the same.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Final

from did_agent.clock import Clock
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, KeysUnavailable, NotFound
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_private_jwk
from issuer.issuing_keys import believed_at, signing_at
from issuer.model import HOME
from issuer.model.keys import IssuingKey
from issuer.ports.keys import KeySealer

if TYPE_CHECKING:
    from issuer.ports import Store

REFRESH: Final = 1.0  # s between looks at what other replicas changed
MAX_SILENCE: Final = 30.0  # s without a look after which nothing is signed
BEGINNING: Final = datetime.fromtimestamp(0, tz=UTC)
_log: Final = logging.getLogger("did_agent.issuer.keys")


class Ring:
    """Who signs for whom at this moment."""

    def __init__(self, root: SigningKey, *, clock: Clock, sealer: KeySealer | None = None) -> None:
        """`root` is the issuer's own key; `sealer` opens those that were made later."""
        self._root, self._clock, self._sealer = root, clock, sealer
        self._kept: Mapping[str, Sequence[IssuingKey]] = {}
        self._first: dict[str, IssuingKey] = {}
        self._keys: dict[str, SigningKey] = {did_key(root.public): root}  # by DID
        self._looked: float | None = None  # None: nobody follows the store, as in a test

    def signer(self, organisation: str) -> SigningKey:
        """Return the key that signs.

        Raises: KeysUnavailable.
        """
        return self._open(self.signing(organisation))

    def signing(self, organisation: str) -> IssuingKey:
        """Return the record of the key that signs.

        Raises: KeysUnavailable.
        """
        self._require_fresh()
        kept = self._kept.get(organisation)
        if kept is None:
            return self._begun(organisation)
        try:
            return signing_at(kept, self._clock())
        except NotFound as error:
            raise KeysUnavailable(error.detail) from error

    def believed(self, organisation: str) -> Sequence[IssuingKey]:
        """Return the keys whose word counts, first the one that signs.

        Raises: KeysUnavailable.
        """
        self._require_fresh()
        return believed_at(self.of(organisation), self._clock())

    def find(self, organisation: str, did: str) -> SigningKey:
        """Return a key whose word counts.

        Raises: KeysUnavailable when it is not at hand, or has ended.
        """
        for key in self.believed(organisation):
            if key.did == did:
                return self._open(key)
        raise KeysUnavailable(f"the key of {did} is not at hand")

    def of(self, organisation: str) -> Sequence[IssuingKey]:
        """Return every key of an organisation, the oldest first.

        Raises: KeysUnavailable.
        """
        kept = self._kept.get(organisation)
        return (self._begun(organisation),) if kept is None else kept

    def first(self, organisation: str) -> IssuingKey:
        """Return the key that an organisation begins with as long as the issuer's own is believed."""
        known = self._first.get(organisation)
        if known is None:
            key = self._root
            if organisation != HOME:
                label = b"did-agent key of organisation v1 " + organisation.encode()
                key = SigningKey.from_seed(hmac.digest(self._root.seed(), label, sha256))
            known = IssuingKey(
                organisation=organisation,
                did=did_key(key.public),
                generation=1,
                origin="home" if organisation == HOME else "derived",
                activates=BEGINNING,
            )
            self._first[organisation], self._keys[known.did] = known, key
        return known

    def is_root_revoked(self) -> bool:
        """Tell whether the issuer's own key, and with it all that is made from it, is believed no more."""
        return any(key.origin == "home" and key.why == "revoked" for key in self._kept.get(HOME, ()))

    def opened(self, key: IssuingKey) -> SigningKey:
        """Return the private half of any key of ours.

        Raises: KeysUnavailable.
        """
        return self._open(key)

    def adopt(self, keys: Sequence[IssuingKey]) -> None:
        """Take what was just read, all at once: requests see the ring as it was or as it is."""
        self._kept = {name: tuple(found) for name, found in groupby(keys, key=lambda key: key.organisation)}
        over = {key.did for key in keys if key.why is not None and key.origin == "sealed"}
        for did in over & self._keys.keys():
            del self._keys[did]  # what is over is not kept open

    async def refresh(self, store: Store) -> None:
        """Read what the store says now.

        Raises: StoreUnavailable.
        """
        async with store.work() as work:
            self.adopt(await work.issuing_keys())
        if self._looked is not None:
            self._looked = asyncio.get_running_loop().time()

    async def prepare(self, store: Store) -> None:
        """Read the ring before anybody asks; keys that cannot be opened are found out now.

        Raises: StoreUnavailable, KeysUnavailable.
        """
        self._looked = asyncio.get_running_loop().time()
        await self.refresh(store)
        for organisation in self._kept:
            self.signer(organisation)

    async def run(self, store: Store) -> None:
        """Follow the store for ever."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.refresh(store)
            except DidAgentError as error:
                _log.warning("the keys of organisations could not be read: %s", error.code)

    def _begun(self, organisation: str) -> IssuingKey:
        if self.is_root_revoked():
            raise KeysUnavailable(f"{organisation} has no key that is believed")
        return self.first(organisation)

    def _open(self, key: IssuingKey) -> SigningKey:
        known = self._keys.get(key.did)
        if known is not None:
            return known
        if key.origin != "sealed":
            made = self.first(key.organisation)
            if made.did != key.did:
                raise KeysUnavailable(f"{key.did} was made from another key than the issuer's own")
            return self._keys[key.did]
        if self._sealer is None or key.sealed is None:
            raise KeysUnavailable(f"the key of {key.did} cannot be opened here")
        found = parse_private_jwk(parse_object(self._sealer.open(key.sealed)))
        if not isinstance(found, SigningKey) or did_key(found.public) != key.did:
            raise KeysUnavailable("what is sealed is not the private half of the recorded key")
        if key.why is None:
            self._keys[key.did] = found
        return found

    def _require_fresh(self) -> None:
        if self._looked is not None and asyncio.get_running_loop().time() - self._looked > MAX_SILENCE:
            raise KeysUnavailable("the keys have not been read for too long")
