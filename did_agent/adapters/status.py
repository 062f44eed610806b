"""Status lists from their publishers: fetched once, verified, cached for a bounded time; a failure is not an answer.

One cache for three kinds: the lists of our own profile, Bitstring Status Lists of others, and Token Status Lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from did_agent.clock import Clock
from did_agent.credential.bitstring import BitstringList, read_list
from did_agent.credential.status import VerifiedStatusList, verify_status_list
from did_agent.credential.token_status import TokenStatusList, verify_status_list_token
from did_agent.credential.trust import TrustSource
from did_agent.errors import DidAgentError, StatusUnavailable
from did_agent.ports import FetchJSON
from did_agent.proof.jwt import FindKey

MAX_LISTS: Final = 256  # lists kept; the oldest goes first
FAILURE_LIFE: Final = timedelta(seconds=5)  # a failed fetch is not repeated sooner
TOKEN_TYPE: Final = "application/statuslist+jwt"

Found = TypeVar("Found")
Fetch = Callable[[str, datetime], Awaitable[tuple[Found, datetime]]]  # URL and now; a list, and until when it holds
# URL and now; what was secured in a list credential whose proof or signature was verified, and the DID that made it.
FetchVerified = Callable[[str, datetime], Awaitable[tuple[Mapping[str, object], str]]]


class FetchText(Protocol):
    """Bounded outbound HTTP GET of text of one media type."""

    async def get_text(self, url: str, *, accept: str) -> str:
        """Return the body at `url`.

        Raises: PeerUnavailable when it cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry(Generic[Found]):
    until: datetime
    found: Found | None  # None: the last fetch failed


class ListCache(Generic[Found]):
    """Verified lists by their URL, each at most `max_age` old and never longer than `fetch` says (VCX-10)."""

    def __init__(self, fetch: Fetch[Found], *, max_age: timedelta, clock: Clock) -> None:
        self._fetch, self._max_age, self._clock = fetch, max_age, clock
        self.entries: dict[str, _Entry[Found]] = {}
        self.locks: dict[str, asyncio.Lock] = {}

    async def get(self, urls: Iterable[str]) -> Mapping[str, Found]:
        """Return the lists at `urls`, each verified and fresh enough.

        Raises: StatusUnavailable when any of them cannot be had: not finding out means no (VCX-10).
        """
        return {url: await self._one(url) for url in sorted(frozenset(urls))}

    @property
    def is_fresh(self) -> bool:
        """Whether every list that was asked for could be had the last time."""
        return all(entry.found is not None for entry in self.entries.values())

    async def _one(self, url: str) -> Found:
        # One fetch at a time for one list, however many calls wait for it.
        async with self.locks.setdefault(url, asyncio.Lock()):
            now = self._clock()
            entry = self.entries.get(url)
            if entry is None or entry.until <= now:
                entry = await self._renew(url, now)
                self._keep(url, entry)
            if entry.found is None:
                raise StatusUnavailable(f"the status list {url} cannot be had")
            return entry.found

    async def _renew(self, url: str, now: datetime) -> _Entry[Found]:
        try:
            found, until = await self._fetch(url, now)
        except DidAgentError:
            return _Entry(until=now + FAILURE_LIFE, found=None)
        return _Entry(until=min(now + self._max_age, until), found=found)

    def _keep(self, url: str, entry: _Entry[Found]) -> None:
        self.entries.pop(url, None)
        self.entries[url] = entry
        while len(self.entries) > MAX_LISTS:
            oldest = next(iter(self.entries))
            del self.entries[oldest]
            self.locks.pop(oldest, None)


class StatusLists:
    """The lists of our own profile, by issuers we trust."""

    def __init__(self, fetcher: FetchJSON, *, trusted: TrustSource, max_age: timedelta, clock: Clock) -> None:
        self._fetcher, self._trusted = fetcher, trusted
        self._cache = ListCache(self._fetch, max_age=max_age, clock=clock)
        self._entries, self._locks = self._cache.entries, self._cache.locks

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        """Return the lists at `urls`, each verified and fresh enough.

        Raises: StatusUnavailable when any of them cannot be had: not finding out means no (VCX-10).
        """
        return await self._cache.get(urls)

    @property
    def is_fresh(self) -> bool:
        """Whether every list that was asked for could be had the last time."""
        return self._cache.is_fresh

    async def _fetch(self, url: str, now: datetime) -> tuple[VerifiedStatusList, datetime]:
        document = await self._fetcher.get_json(url)
        found = verify_status_list(document, expected_url=url, trusted_issuers=self._trusted.current(now), now=now)
        return found, min(now + found.ttl, found.valid_until)


def bitstring_lists(fetch: FetchVerified, *, max_age: timedelta, clock: Clock) -> ListCache[BitstringList]:
    """Return the cache of Bitstring Status Lists of others; who may keep which status is asked with each entry."""

    async def fetch_one(url: str, now: datetime) -> tuple[BitstringList, datetime]:
        document, controller = await fetch(url, now)
        found = read_list(document, expected_url=url, list_controller=controller, fetched_at=now)
        found.require_current(now)
        until = now + found.ttl
        return found, until if found.valid_until is None else min(until, found.valid_until)

    return ListCache(fetch_one, max_age=max_age, clock=clock)


def token_status_lists(
    fetcher: FetchText, *, find_key: FindKey, expected_issuer: str | None, max_age: timedelta, clock: Clock
) -> ListCache[TokenStatusList]:
    """Return the cache of Token Status Lists of one publisher, whose key `find_key` gives."""

    async def fetch_one(url: str, now: datetime) -> tuple[TokenStatusList, datetime]:
        token = await fetcher.get_text(url, accept=TOKEN_TYPE)
        found = verify_status_list_token(
            token, expected_uri=url, expected_issuer=expected_issuer, find_key=find_key, fetched_at=now, now=now
        )
        return found, min(now + found.ttl, found.expires)

    return ListCache(fetch_one, max_age=max_age, clock=clock)
