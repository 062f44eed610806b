"""Another party's signing keys from its JWKS (RFC 7517), cached and never evicted by a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import Clock
from did_agent.errors import BadKey, DidAgentError, KeysUnavailable, WrongKey
from did_agent.keys.jwk import parse_public_jwk
from did_agent.keys.public import PublicKey
from did_agent.ports import FetchJSON

REFRESH: Final = timedelta(seconds=30)  # an unknown kid asks again at most this often (TOK-03)
MAX_KEYS: Final = 32  # keys of one issuer

Locate = Callable[[], Awaitable[str]]  # the address of the JWKS, found out anew at each fetch


class RemoteKeys:
    """The keys of one issuer, by `kid`."""

    def __init__(
        self,
        locate: Locate,
        fetcher: FetchJSON,
        *,
        clock: Clock,
        max_age: timedelta | None = None,
        retry: timedelta = timedelta(0),
    ) -> None:
        self._locate, self._fetcher, self._clock, self._max_age = locate, fetcher, clock, max_age
        self._retry = retry  # how long an issuer whose keys could not be had at all is left alone
        self._failed: datetime | None = None
        self._keys: Mapping[str | None, PublicKey] = {}
        self._asked: datetime | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: object) -> PublicKey:
        """Return the key named `kid`; None finds the only key of an issuer that has one: keys are never tried in turn.

        Raises: WrongKey, KeysUnavailable.
        """
        if kid is not None and not isinstance(kid, str):
            raise WrongKey("kid is not a string")
        if kid not in self._keys or self._is_old():
            async with self._lock:
                if kid not in self._keys or self._is_old():
                    await self._refresh()
        try:
            return self._keys[kid]
        except KeyError as error:
            raise WrongKey("the issuer has no such key, or several and the token names none") from error

    def _is_old(self) -> bool:
        return self._max_age is not None and self._asked is not None and self._clock() - self._asked >= self._max_age

    async def _refresh(self) -> None:
        now = self._clock()
        if self._keys and self._asked is not None and now - self._asked < REFRESH:
            return
        if not self._keys and self._failed is not None and now - self._failed < self._retry:
            raise KeysUnavailable("the keys could not be had a moment ago")
        try:
            found = await self._fetch()
        except DidAgentError as error:
            self._failed = now
            if self._keys:
                self._asked = now
                return  # the keys we have stay good
            raise KeysUnavailable(f"the keys cannot be had: {error.detail}") from error
        self._keys, self._asked = found, now

    async def _fetch(self) -> Mapping[str | None, PublicKey]:
        return readable_keys(await self._fetcher.get_json(await self._locate()))


def readable_keys(jwks: Mapping[str, object]) -> Mapping[str | None, PublicKey]:
    """Return the keys of a JWKS that we can use, by `kid`; under None the only one of a set that has one.

    Raises: KeysUnavailable.
    """
    members = jwks.get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise KeysUnavailable("the JWKS holds no list of keys")
    found: dict[str | None, PublicKey] = {}
    readable: list[PublicKey] = []
    for member in members:
        try:
            key = parse_public_jwk(member, rsa_too=True)
        except BadKey:
            continue  # a key of a type we do not use
        readable.append(key)
        kid = member.get("kid")
        if isinstance(kid, str):
            found[kid] = key
    return found if len(members) != 1 or not readable else {**found, None: readable[0]}
