"""Token Status Lists of our own long-lived tokens: places at issue, signed lists for whoever checks them.

draft-ietf-oauth-status-list-20, experimental as the draft is.  A token ends in the feed and in its list by one
transaction; what this process flipped is seen at once, what another one flipped within `LOOK_EVERY`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bridge.model import Identity
from bridge.model.token_status import BITS, BLOCK, LIST_SIZE, TokenPlace
from bridge.ports import Store
from did_agent.clock import Clock
from did_agent.credential.token_status import TokenStatusReference, issue_status_list_token
from did_agent.encoding.digest import digest_uri
from did_agent.errors import NotFound
from did_agent.tokens.access_token import AccessToken

LIST_TTL: Final = timedelta(seconds=30)  # how long others may keep a list
LIST_LIFE: Final = timedelta(minutes=5)  # validity of a signed list
LOOK_EVERY: Final = timedelta(seconds=1)  # how old a list may be that another process changed
PAGE: Final = 2_000  # flips read at once; other requests come in between
MAX_KEPT: Final = 64  # lists in memory, of 33 KB each


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedTokenList:
    """A signed list as it goes over the wire."""

    token: str
    tag: str
    version: int
    window: datetime


@dataclass(slots=True, kw_only=True)
class _Kept:
    statuses: bytearray
    looked: datetime
    heard: int
    version: int = 0
    served: ServedTokenList | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatusLists:
    """Gives tokens their places, and serves what became of them."""

    store: Store
    identity: Identity
    above: timedelta  # tokens that live longer than this have a status
    clock: Clock
    _waiting: deque[Iterator[TokenPlace]] = field(default_factory=deque, init=False, repr=False)
    _leasing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _building: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _kept: dict[int, _Kept] = field(default_factory=dict, init=False, repr=False)

    async def place_for(self, token: AccessToken) -> TokenPlace | None:
        """Return a place for a token that is about to be issued; None when it is too short-lived for one.

        It may open a transaction: call it before yours, not inside.
        Raises: StoreUnavailable.
        """
        if token.expires - token.issued_at <= self.above:
            return None
        found = self._next()
        if found is None:
            async with self._leasing:
                found = self._next()
                while found is None:
                    async with self.store.transaction() as work:
                        leases = await work.lease_places(BLOCK)
                    self._waiting.extend(lease.places() for lease in leases)
                    found = self._next()
        return found

    def reference(self, place: TokenPlace) -> TokenStatusReference:
        """Return what a token says of its place."""
        return TokenStatusReference(index=place.place, uri=self._url(place.list_number))

    async def serve(self, number: int) -> ServedTokenList:
        """Return a list as it is now, signed.

        Raises: NotFound for a list that is not there or retired, KeysUnavailable, StoreUnavailable.
        """
        served = self._in_hand(number, self.clock())
        if served is not None:
            return served
        async with self._building:  # one builds, those who wait find it done
            now = self.clock()
            served = self._in_hand(number, now)
            return served or await self._build(number, await self._current(number, now), now)

    def _next(self) -> TokenPlace | None:
        while self._waiting:
            found = next(self._waiting[0], None)
            if found is not None:
                return found
            self._waiting.popleft()
        return None

    def _in_hand(self, number: int, now: datetime) -> ServedTokenList | None:
        kept = self._kept.get(number)
        if kept is None or kept.served is None or not self._is_current(kept, now):
            return None
        fits = kept.served.version == kept.version and kept.served.window == _window(now)
        return kept.served if fits else None

    def _is_current(self, kept: _Kept, now: datetime) -> bool:
        return kept.heard == self.store.flips() and timedelta(0) <= now - kept.looked < LOOK_EVERY

    async def _current(self, number: int, now: datetime) -> _Kept:
        """Return a list with every flip that was committed before now."""
        kept = self._kept.pop(number, None)
        if kept is None or not self._is_current(kept, now):
            heard = self.store.flips()  # before the look: what is flipped during it is looked at again
            async with self.store.transaction() as work:
                if not await work.has_list(number):
                    raise NotFound("there is no such status list")
            kept = kept or _Kept(statuses=bytearray(LIST_SIZE * BITS // 8), looked=now, heard=heard)
            await self._bring_up(number, kept)
            kept.heard, kept.looked = heard, now
        self._kept[number] = kept  # the one used last stands last
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _bring_up(self, number: int, kept: _Kept) -> None:
        limit = PAGE
        while True:
            async with self.store.transaction() as work:
                flips = await work.token_flips(number, since=kept.version, limit=limit)
            if len(flips) == limit:
                # A version may go on behind the page: it is read again, in a page that all of it fits into.
                whole = [flip for flip in flips if flip.version < flips[-1].version]
                limit = PAGE if whole else limit * 2
                flips = whole
                is_last = False
            else:
                is_last = True
            for flip in flips:
                byte, shift = divmod(flip.place * BITS, 8)
                kept.statuses[byte] = kept.statuses[byte] & ~(3 << shift) & 0xFF | flip.status << shift
            kept.version = max((kept.version, *(flip.version for flip in flips)))
            if is_last:
                return
            await asyncio.sleep(0)

    async def _build(self, number: int, kept: _Kept, now: datetime) -> ServedTokenList:
        window, signer = _window(now), self.identity.ring.signer()
        # Compressing lets go of the interpreter; nobody changes the list meanwhile, that takes the lock.
        token = await asyncio.to_thread(
            issue_status_list_token,
            uri=self._url(number),
            statuses=bytes(kept.statuses),
            bits=BITS,
            key=signer.key,
            kid=signer.kid,
            issuer=self.identity.issuer,
            issued_at=window,
            expires=window + LIST_LIFE,
            ttl=int(LIST_TTL.total_seconds()),
        )
        tag = digest_uri(token.encode())[-43:]
        kept.served = ServedTokenList(token=token, tag=tag, version=kept.version, window=window)
        return kept.served

    def _url(self, number: int) -> str:
        return f"{self.identity.issuer}/status-lists/tokens/{number}"


def _window(now: datetime) -> datetime:
    # The same text for half of its time to live, so that caches are told "not modified".
    return now - timedelta(seconds=now.timestamp() % (LIST_TTL.total_seconds() / 2))
