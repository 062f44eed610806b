"""Trust that is pulled: the signed list of our issuer, never older than what is known, and no longer than it is fresh.

What the deployment was set up with, its anchors, counts until a list says that it has ended; whoever signs lists after
it counts in its place.  What else a list adds counts from when it was issued up to the staleness cap: whoever has not
heard for that long trusts the anchors alone (VCX-05, REV-02, KEY-03).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.adapters.keystore import write_private
from did_agent.clock import Clock
from did_agent.credential.trust import Remit, TrustedIssuers
from did_agent.did.document import DIDDocument
from did_agent.did.key import did_key
from did_agent.did.web import PREFIX as DID_WEB
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, DidAgentError, NotYetValid, PeerUnavailable
from did_agent.proof.jwt import SKEW, unverified_jws
from did_agent.tokens.profiles import TRUST_LIST
from did_agent.tokens.trust_list import PATH, TrustEntry, TrustList, neighbour_of, verify_trust_list

REFRESH: Final = timedelta(seconds=10)  # between two questions
STALENESS: Final = timedelta(seconds=60)  # after which a list says nothing any more
RETRY: Final = 1.0  # s after a failure

_log: Final = logging.getLogger("did_agent.trust")

Lost = Callable[[frozenset[str]], Awaitable[None]]  # DIDs of issuers that may grant less than before


class ResolveDIDWeb(Protocol):
    """Brings the documents of did:web identifiers."""

    async def documents(self, dids: Iterable[str]) -> Mapping[str, DIDDocument]:
        """Return the documents that can be had."""
        ...


class PulledTrust:
    """Implements `did_agent.credential.trust.TrustSource`: anchors, and what their newest list says."""

    def __init__(
        self,
        url: str,
        *,
        anchors: frozenset[str],
        file: Path,
        resolver: ResolveDIDWeb,
        clock: Clock,
        refresh: timedelta = REFRESH,
        staleness: timedelta = STALENESS,
    ) -> None:
        """`url` is that of the issuer, or of whoever passes its list on; only the `anchors` sign lists."""
        self._url, self._anchors, self._file, self._resolver = url, anchors, file, resolver
        self._clock, self._refresh, self._staleness = clock, refresh, staleness
        self._list: TrustList | None = None
        self._text: str | None = None
        self._etag: str | None = None
        self._documents: Mapping[str, DIDDocument] = {}
        self._snapshot, self._snapshot_until = self._fixed(), datetime.min.replace(tzinfo=clock().tzinfo)
        self._started, self._heard = clock(), False
        self._watchers: list[Lost] = []
        self._load()
        self._told = self._fixed() if self._list is None else self._made(self._list, self._list.issued)

    def watch(self, lost: Lost) -> None:
        """Have `lost` awaited with the issuers that may grant less than before, until it has taken note of it."""
        self._watchers.append(lost)

    def current(self, now: datetime) -> TrustedIssuers:
        """Return who is trusted for what at this moment."""
        if now >= self._snapshot_until:
            self._renew(now)
        return self._snapshot

    def own(self, now: datetime) -> frozenset[str]:
        """Return the DIDs of the issuers of this deployment itself, whose word on what ended counts."""
        trusted = self.current(now)
        return frozenset(trusted.issuers) - trusted.foreign

    @property
    def version(self) -> int | None:
        """The version of the newest list that was seen; None before the first."""
        return None if self._list is None else self._list.version

    def text(self, now: datetime) -> str | None:
        """Return the newest list as it was signed, for others that know the anchors; None once it has ended."""
        found = self._list
        return None if found is None or now >= found.expires else self._text

    async def run(self) -> None:
        """Ask for ever."""
        failures = 0
        async with peer_client() as http:
            while True:
                pause = self._refresh.total_seconds()
                try:
                    await self.ask(http)
                    await self.tell()
                    failures = 0
                except Exception as error:  # noqa: BLE001  # whatever it was: who stops asking trusts nobody new
                    # Before the first answer the parties are only starting, in whatever order.
                    level = logging.WARNING if self._heard else logging.INFO
                    why = error.detail if isinstance(error, DidAgentError) else type(error).__name__
                    _log.log(level, "the trust list cannot be had: %s", why)
                    pause, failures = min(pause, RETRY * 2**failures), min(failures + 1, 8)
                    await self._tell_safely()
                await asyncio.sleep(pause)

    async def ask(self, http: httpx2.AsyncClient) -> None:
        """Take up the list as it is now.

        Raises: PeerUnavailable, what `verify_trust_list` raises.
        """
        headers = {} if self._etag is None else {"If-None-Match": self._etag}
        async with http.stream("GET", self._url + PATH, headers=headers) as response:
            if response.status_code != httpx2.codes.NOT_MODIFIED:
                if response.status_code != httpx2.codes.OK:
                    raise PeerUnavailable(f"{self._url[:200]}{PATH} answered {response.status_code}")
                text, etag = await _text(response), response.headers.get("etag")
                self._accept(text)
                self._renew(self._clock())  # what was taken out ends now, whatever others' hosts take to answer
                self._etag = etag
                await asyncio.to_thread(self._save, text)
        self._heard = True
        if self._list is not None:
            named = {one.issuer for one in self._list.entries if one.issuer.startswith(DID_WEB)}
            brought = await asyncio.gather(*(self._bring(did) for did in sorted(named)))
            self._documents = {found.id: found for found in brought if found is not None}
            self._renew(self._clock())

    def is_settled(self) -> bool:
        """Tell whether what is trusted is more than what is left of an earlier run."""
        return self._heard or self._clock() - self._started >= self._staleness

    async def tell(self) -> None:
        """Tell the watchers which issuers may grant less than they were told before.

        Raises: what a watcher raises; then they are told again.
        """
        if not self.is_settled():
            return  # what was listed at the last run may be listed still
        told = self.current(self._clock())
        lost = frozenset(issuer for issuer in self._told.issuers if _is_less(issuer, self._told, told))
        if lost:
            _log.info("%d issuers may grant less than before", len(lost))
            for watcher in self._watchers:
                await watcher(lost)
        self._told = told

    async def _bring(self, did: str) -> DIDDocument | None:
        try:
            return (await self._resolver.documents([did])).get(did)
        except DidAgentError as error:
            _log.warning("a did:web of the trust list cannot be resolved: %s", error.code)
            return None

    async def _tell_safely(self) -> None:
        try:
            await self.tell()
        except DidAgentError as error:
            _log.warning("an issuer's end could not be taken note of: %s", error.code)

    def _accept(self, text: str) -> None:
        known = self._list
        after = None if known is None else (known.version, known.issued)
        found = verify_trust_list(text, anchors=self._anchors, after=after, now=self._clock(), known=known)
        if known is None or found.version != known.version:
            _log.info("trust list %s is in force", found.version)
        self._list, self._text = found, text

    def _renew(self, now: datetime) -> None:
        found = self._list
        if found is None or now >= (end := self._end(found)):
            self._snapshot, self._snapshot_until = self._fixed(), now + self._refresh
            return
        edges = (moment for one in found.entries for moment in (one.valid_from, one.valid_until))
        self._snapshot_until = min([end, *(moment for moment in edges if moment is not None and moment > now)])
        self._snapshot = self._made(found, now)

    def _fixed(self) -> TrustedIssuers:
        """Return what counts however old the list is: the anchors that have not ended, and who signs after them."""
        found = self._list
        if found is None:
            return TrustedIssuers.of(*sorted(self._anchors))
        return TrustedIssuers.of(*sorted({*self._anchors, found.issuer} - set(found.ended)))

    def _end(self, found: TrustList) -> datetime:
        return min(found.issued + self._staleness, found.expires)

    def _made(self, found: TrustList, now: datetime) -> TrustedIssuers:
        issuers: dict[str, tuple[Remit, ...]] = dict(self._fixed().issuers)
        issuers |= {did: (Remit(),) for did in found.own}
        ours, documents = frozenset(issuers), {}
        over = frozenset(found.ended)
        for entry in found.entries:
            if not entry.holds(now):
                continue
            document = self._document(entry)
            for did in _names(entry, document) - ours - over:  # no line takes away from, or speaks as, our own
                issuers[did] = (*issuers.get(did, ()), entry.remit())
            if document is not None:
                documents[entry.issuer] = document
        return TrustedIssuers(
            issuers=MappingProxyType(issuers),
            foreign=frozenset(issuers) - ours,
            documents=MappingProxyType(documents),
            organisations=MappingProxyType(
                {
                    one.issuer: name
                    for one in found.entries
                    if one.holds(now) and (name := neighbour_of(one)) is not None
                }
            ),
        )

    def _document(self, entry: TrustEntry) -> DIDDocument | None:
        found = self._documents.get(entry.issuer)
        if found is None or not entry.keys:
            return found
        # Whoever takes the host over can publish any key, but not one that was pinned (VCX-13).
        kept = tuple(method for method in found.methods if did_key(method.key) in entry.keys)
        return replace(found, methods=kept)

    def _save(self, text: str) -> None:
        try:
            write_private(self._file, text.encode())
        except OSError as error:
            _log.warning("the trust list is not kept on disk: %s", error.strerror)

    def _load(self) -> None:
        """Take up the list of the last run: what was seen then is not undone, and it may be fresh enough still."""
        try:
            text = self._file.read_bytes()[: TRUST_LIST.max_bytes + 1].decode("ascii", errors="replace")
            _, claims = unverified_jws(text, max_bytes=TRUST_LIST.max_bytes)
            issued = claims.get("iat")
            if type(issued) is not int:
                raise BadJOSE("iat is not a NumericDate")
            made = from_numeric_date(issued)
            if made > self._clock() + timedelta(seconds=SKEW):
                raise NotYetValid("it is from the future")
            # As of its own time: an ended one still tells which versions are too old; `current` looks at its end.
            self._list, self._text = verify_trust_list(text, anchors=self._anchors, after=None, now=made), text
        except FileNotFoundError:
            return
        except (OSError, DidAgentError) as error:
            why = error.detail if isinstance(error, DidAgentError) else error.strerror
            _log.warning("the trust list kept in %s does not count: %s", self._file, why)


def _names(entry: TrustEntry, document: DIDDocument | None) -> frozenset[str]:
    """Return the DIDs a line speaks of: a did:web, and the did:keys it says it is known as, if it has their keys."""
    if not entry.issuer.startswith(DID_WEB):
        return frozenset({entry.issuer})
    if document is None or not document.methods:
        return frozenset()
    signing = dict(document.relationships).get("assertionMethod", ())
    keys = {did_key(one.key) for one in document.methods if one.id in signing and one.ends is None}
    also = document.source.get("alsoKnownAs")
    aliases = {one for one in also if isinstance(one, str)} if isinstance(also, list) else set()
    return frozenset({entry.issuer, *(keys & aliases)})


def _is_less(issuer: str, before: TrustedIssuers, now: TrustedIssuers) -> bool:
    fewer = not frozenset(before.issuers[issuer]) <= frozenset(now.issuers.get(issuer, ()))
    return fewer or before.documents.get(issuer) != now.documents.get(issuer)


async def _text(response: httpx2.Response) -> str:
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > TRUST_LIST.max_bytes:
            raise PeerUnavailable(f"a trust list of more than {TRUST_LIST.max_bytes} bytes")
    return received.decode("ascii", errors="replace")
