"""Fetches Client ID Metadata Documents through the guarded fetcher and keeps them as long as they say (OAU-11)."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from bridge.client_documents import MAX_DOCUMENT, is_document_url, parse_client_document
from bridge.model.clients import OAuthClient
from did_agent.adapters.http import GuardedFetcher
from did_agent.clock import Clock
from did_agent.errors import DidAgentError, InvalidParameter, PeerUnavailable

SHORTEST: Final = 60  # s a document is believed at least, so that nobody makes us fetch in a loop
LONGEST: Final = 86_400  # s
USUAL: Final = 300  # s when the document does not say
FAILURE: Final = 30  # s a failure is remembered
MAX_DOCUMENTS: Final = 1_000
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})")


class _Entry(NamedTuple):
    until: datetime
    found: OAuthClient | InvalidParameter


class ClientDocumentsHTTP:
    """Implements `bridge.ports.clients.ClientDocuments`."""

    def __init__(
        self, fetcher: GuardedFetcher, *, allow_loopback: bool, domains: frozenset[str] | None, clock: Clock
    ) -> None:
        self._fetcher, self._allow_loopback, self._domains, self._clock = fetcher, allow_loopback, domains, clock
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def client(self, url: str) -> OAuthClient:
        """Return the client that the document at `url` describes.

        Raises: InvalidParameter.
        """
        if not is_document_url(url, allow_loopback=self._allow_loopback):
            raise InvalidParameter("client_id is not the URL of a client's document")
        if self._domains is not None and urlsplit(url).hostname not in self._domains:
            raise InvalidParameter("clients of this domain are not admitted")
        lock = self._locks.setdefault(url, asyncio.Lock())
        async with lock:  # one fetch at a time for one document
            entry = self._known.get(url)
            if entry is None or entry.until <= self._clock():
                entry = await self._fetch(url)
                self._known[url] = entry
                self._known.move_to_end(url)
        if not lock.locked():
            self._locks.pop(url, None)
        while len(self._known) > MAX_DOCUMENTS:
            self._known.popitem(last=False)
        if isinstance(entry.found, InvalidParameter):
            raise entry.found
        return entry.found

    async def _fetch(self, url: str) -> _Entry:
        now = self._clock()
        try:
            document, cache_control = await self._fetcher.get_document(url, max_bytes=MAX_DOCUMENT)
            found = parse_client_document(url, document)
        except PeerUnavailable:
            # Why is for nobody who asks: it would tell about our network (NET-09).
            refused = InvalidParameter("the client's document cannot be had")
            return _Entry(now + timedelta(seconds=FAILURE), refused)
        except DidAgentError as error:
            refused = InvalidParameter(f"the client's document cannot be used: {error.detail or error.public}")
            return _Entry(now + timedelta(seconds=FAILURE), refused)
        said = _MAX_AGE.search(cache_control.lower())
        seconds = min(max(int(said.group(1)) if said else USUAL, SHORTEST), LONGEST)
        return _Entry(now + timedelta(seconds=seconds), found)
