"""The signed credentials behind tokens, from the bridge: fetched once by their digest, kept within bounds."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import DidAgentError, NotEvidenced, PeerUnavailable
from did_agent.ports import FetchJSON

MAX_KEPT: Final = 16_777_216  # bytes of evidence kept; what was not asked for longest goes first

_DIGEST: Final = re.compile(r"sha-256:[A-Za-z0-9_-]{43}")
_Documents = Sequence[Mapping[str, Any]]


class BridgeEvidence:
    """Evidence of the one bridge we believe; where a token says it lies is never asked."""

    def __init__(self, bridge: str, fetcher: FetchJSON, *, max_kept: int = MAX_KEPT) -> None:
        self._bridge, self._fetcher, self._max_kept = bridge, fetcher, max_kept
        self._kept: OrderedDict[str, tuple[int, _Documents]] = OrderedDict()
        self._size = 0
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, digest: str) -> _Documents:
        """Return the credentials with this digest, leaf first.

        Raises: NotEvidenced when there cannot be any, PeerUnavailable when the bridge does not show them.
        """
        if not _DIGEST.fullmatch(digest):
            raise NotEvidenced("the digest does not have its form")
        if digest not in self._kept:
            lock = self._locks.setdefault(digest, asyncio.Lock())
            try:
                async with lock:
                    if digest not in self._kept:
                        self._keep(digest, *await self._fetch(digest))
            finally:
                self._locks.pop(digest, None)
        self._kept.move_to_end(digest)
        return self._kept[digest][1]

    async def _fetch(self, digest: str) -> tuple[int, _Documents]:
        try:
            answer = await self._fetcher.get_json(f"{self._bridge}/evidence/{digest}")
            documents = answer.get("credentials")
            content = canonicalize(documents)
        except DidAgentError as error:
            raise PeerUnavailable(f"the evidence cannot be had: {error.detail}") from error
        if not isinstance(documents, list) or not all(isinstance(one, dict) for one in documents):
            raise PeerUnavailable("the evidence is no list of credentials")
        # The digest is in a signed token, and names these bytes for ever.
        if digest_uri(content) != digest:
            raise PeerUnavailable("the evidence has another digest")
        return len(content), documents

    def _keep(self, digest: str, size: int, documents: _Documents) -> None:
        self._kept[digest] = (size, documents)
        self._size += size
        while self._size > self._max_kept and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1][0]
