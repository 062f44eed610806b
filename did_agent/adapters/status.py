"""Status lists from their publishers: fetched once, verified, cached for a bounded time; a failure is not an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import Clock
from did_agent.credential.status import VerifiedStatusList, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import DidAgentError, StatusUnavailable
from did_agent.ports import FetchJSON

MAX_LISTS: Final = 256  # lists kept; the oldest goes first
FAILURE_LIFE: Final = timedelta(seconds=5)  # a failed fetch is not repeated sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    until: datetime
    found: VerifiedStatusList | None  # None: the last fetch failed


class StatusLists:
    """A cache of verified status lists, each at most `max_age` and its own `ttl` old (VCX-10)."""

    def __init__(self, fetcher: FetchJSON, *, trusted: TrustedIssuers, max_age: timedelta, clock: Clock) -> None:
        self._fetcher, self._trusted = fetcher, trusted
        self._max_age, self._clock = max_age, clock
        self._entries: dict[str, _Entry] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        """Return the lists at `urls`, each verified and fresh enough.

        Raises: StatusUnavailable when any of them cannot be had: not finding out means no (VCX-10).
        """
        return {url: await self._one(url) for url in sorted(frozenset(urls))}

    async def _one(self, url: str) -> VerifiedStatusList:
        # One fetch at a time for one list, however many calls wait for it.
        async with self._locks.setdefault(url, asyncio.Lock()):
            now = self._clock()
            entry = self._entries.get(url)
            if entry is None or entry.until <= now:
                entry = await self._fetch(url, now)
                self._keep(url, entry)
            if entry.found is None:
                raise StatusUnavailable(f"the status list {url} cannot be had")
            return entry.found

    async def _fetch(self, url: str, now: datetime) -> _Entry:
        try:
            document = await self._fetcher.get_json(url)
            found = verify_status_list(document, expected_url=url, trusted_issuers=self._trusted, now=now)
        except DidAgentError:
            return _Entry(until=now + FAILURE_LIFE, found=None)
        return _Entry(until=min(now + min(self._max_age, found.ttl), found.valid_until), found=found)

    def _keep(self, url: str, entry: _Entry) -> None:
        self._entries.pop(url, None)
        self._entries[url] = entry
        while len(self._entries) > MAX_LISTS:
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            self._locks.pop(oldest, None)
