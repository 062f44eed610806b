"""did:web documents from their hosts: guarded, cached for a bounded time, and never stale (VCX-13, NET-08).

What was cached is forgotten when its time is over, whatever the host then answers: a failure, a 404 and a 410 all
mean that there is no document now.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from did_agent.clock import Clock
from did_agent.did.document import DIDDocument, parse_did_document, require_did
from did_agent.did.resolve import needs_fetching
from did_agent.did.web import PREFIX, did_web_url
from did_agent.errors import BadDIDDocument, DidAgentError, TooLarge

MIN_LIFE: Final = timedelta(seconds=30)  # shorter wishes of a host would let its visitors hammer it
MAX_LIFE: Final = timedelta(minutes=5)  # a key taken out of a document counts no longer than this (VCX-13)
FAILURE_LIFE: Final = timedelta(seconds=30)  # what could not be had is not asked for sooner (NET-08)
MAX_DOCUMENT: Final = 262_144  # bytes
MAX_DOCUMENTS: Final = 512  # kept; the oldest goes first
MAX_DIDS: Final = 16  # of one call
WINDOW: Final = timedelta(seconds=30)  # in which fetches are counted
MAX_PER_HOST: Final = 32  # fetches from one host in a window: strangers name the paths
MAX_FETCHES: Final = 256  # fetches in a window; once strangers have spent it, what is not at hand means no

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})(?![0-9])", re.IGNORECASE)
_UNCACHED: Final = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)


class FetchDocument(Protocol):
    """Bounded outbound HTTP GET of strict JSON that also says how long it may be kept."""

    async def get_document(self, url: str, *, max_bytes: int) -> tuple[Mapping[str, object], str]:
        """Return the JSON object at `url` and the Cache-Control that came with it.

        Raises: PeerUnavailable when it cannot be had, Malformed when it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    until: datetime
    document: DIDDocument | None  # None: the last fetch brought nothing that can be used


class DIDWebResolver:
    """Brings the documents of did:web identifiers; those of other methods need no bringing."""

    def __init__(
        self,
        fetcher: FetchDocument,
        *,
        clock: Clock,
        allow_loopback: bool = False,
        allowed_hosts: Collection[str] | None = None,
    ) -> None:
        """With `allowed_hosts` nothing is fetched from any other host, `host` or `host:port` in lower case."""
        self._fetcher, self._clock, self._allow_loopback = fetcher, clock, allow_loopback
        self._allowed_hosts = None if allowed_hosts is None else frozenset(allowed_hosts)
        # By URL, so that identifiers that differ in letter case share an entry, a flight and a budget.
        self._entries: dict[str, _Entry] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._started: deque[tuple[datetime, str]] = deque()

    async def documents_for(self, method_ids: Iterable[object]) -> Mapping[str, DIDDocument]:
        """Return the documents needed to judge these verification methods, as far as they can be had.

        Raises: BadDID, TooLarge.
        """
        return await self.documents(did for name in method_ids if (did := needs_fetching(name)) is not None)

    async def documents(self, dids: Iterable[str]) -> Mapping[str, DIDDocument]:
        """Return the documents of the did:web among `dids`, as far as they can be had.

        One that is missing here is missed by whoever needs it: `resolve` raises KeysUnavailable, which means no.
        Raises: BadDID for what names no host that could be asked, TooLarge.
        """
        named = sorted({did for did in dids if did.startswith(PREFIX)})
        if len(named) > MAX_DIDS:
            raise TooLarge(f"more than {MAX_DIDS} did:web documents for one question")
        urls = [did_web_url(require_did(did), allow_loopback=self._allow_loopback) for did in named]
        found = await asyncio.gather(*(self._one(url) for url in urls))
        # The host chose which of its spellings it answers for: only that one is this document's identifier (VCX-04).
        return {
            did: document
            for did, document in zip(named, found, strict=True)
            if document is not None and document.id == did
        }

    async def _one(self, url: str) -> DIDDocument | None:
        lock = self._locks.get(url)
        if lock is None:
            lock = self._locks[url] = asyncio.Lock()
        # One fetch at a time for one document, however many calls wait for it.
        async with lock:
            now = self._clock()
            entry = self._entries.get(url)
            if entry is None or entry.until <= now:
                self._entries.pop(url, None)
                if not self._may_ask(url, now):
                    return None
                entry = self._entries[url] = await self._fetch(url, now)
                while len(self._entries) > MAX_DOCUMENTS:
                    del self._entries[next(iter(self._entries))]
            return entry.document

    def _may_ask(self, url: str, now: datetime) -> bool:
        host = urlsplit(url).netloc
        if self._allowed_hosts is not None and host not in self._allowed_hosts:
            return False
        while self._started and self._started[0][0] <= now - WINDOW:
            self._started.popleft()
        if len(self._started) >= MAX_FETCHES or sum(asked == host for _, asked in self._started) >= MAX_PER_HOST:
            return False
        self._started.append((now, host))
        return True

    async def _fetch(self, url: str, now: datetime) -> _Entry:
        try:
            source, cache_control = await self._fetcher.get_document(url, max_bytes=MAX_DOCUMENT)
            document = self._parse(source, url)
        except DidAgentError:
            return _Entry(until=now + FAILURE_LIFE, document=None)
        return _Entry(until=now + life(cache_control), document=document)

    def _parse(self, source: Mapping[str, object], url: str) -> DIDDocument:
        did = require_did(source.get("id"))
        # A host speaks for the identifiers that lead to this very address, and for nobody else's.
        if did_web_url(did, allow_loopback=self._allow_loopback) != url:
            raise BadDIDDocument("the document is about another identifier")
        return parse_did_document(source, expected_id=did)


def life(cache_control: str) -> timedelta:
    """Return how long a document is kept: as its host wishes, within our bounds."""
    found = _MAX_AGE.search(cache_control)
    if _UNCACHED.search(cache_control) or (found is None and "max-age" in cache_control.lower()):
        return MIN_LIFE
    return MAX_LIFE if found is None else min(max(timedelta(seconds=int(found[1])), MIN_LIFE), MAX_LIFE)
