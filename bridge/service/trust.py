"""Ends what was made from other deployments' credentials, when they are trusted no more or take them back (REV-01)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from bridge import audit_trail
from bridge.model import Identity
from bridge.ports import Statuses, Store
from bridge.service.revocation import end_tokens
from bridge.vouching import Place, places
from did_agent.clock import Clock
from did_agent.credential.trust import TrustSource
from did_agent.errors import StatusUnavailable

LOOK_EVERY: Final = 5.0  # s between looks at the lists behind live tokens
_log: Final = logging.getLogger("did_agent.bridge")


class Trust(TrustSource, Protocol):
    """Whom we trust, and whether that is known by now."""

    def is_settled(self) -> bool:
        """Tell whether it is more than what is left of an earlier run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustWatch:
    """Hears of issuers that were taken out of the trust list, and asks the lists of those that are in it."""

    store: Store
    identity: Identity
    trust: Trust
    statuses: Statuses
    clock: Clock
    staleness: timedelta  # how long a list may be away before that means no
    _answered: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)  # when each list last did
    _looked: list[datetime] = field(default_factory=list, init=False, repr=False)  # when for the first time

    async def lost(self, issuers: frozenset[str]) -> None:
        """End every token that was made from what these issuers granted.

        Raises: StoreUnavailable; then nothing ended.
        """
        await self._end(issuers, action="trust.lost", reason="the issuer may grant less than before")

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # whatever it was: who stops looking misses revocations
                _log.warning("the lists of other deployments could not be looked at: %s", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """End the tokens whose credentials were taken back where they were issued.

        Raises: StoreUnavailable.
        """
        now, trusted = self.clock(), self.trust.current(self.clock())
        # Once at least: an issuer may have been taken out while nobody here was there to hear it.
        if not self.trust.is_settled() or (self._looked and not trusted.foreign):
            return
        async with self.store.transaction() as work:
            found = places(await work.status_dependencies(now=now))
        self._looked[:] = self._looked or [now]
        strangers = {name for name, place in found.items() if not trusted.is_foreign(place.issuer)}
        if strangers:
            await self._end(strangers, action="trust.lost", reason="its issuer is trusted no more")
        urls = {place.url for name, place in found.items() if name not in strangers}
        for gone in self._answered.keys() - urls:
            del self._answered[gone]
        over: set[str] = set()
        for url in sorted(urls):
            over |= await self._over(url, {name: one for name, one in found.items() if one.url == url}, now)
        if over:
            await self._end(over, action="credential.ended", reason="its issuer took it back, or is not heard of")

    async def _over(self, url: str, here: dict[str, Place], now: datetime) -> set[str]:
        try:
            lists = await self.statuses.get([url])
        except StatusUnavailable:
            away = now - self._answered.setdefault(url, now)
            return set(here) if away >= self.staleness else set()
        self._answered[url] = now
        return {name for name, place in here.items() if not place.is_clear(lists[url])}

    async def _end(self, names: Iterable[str], *, action: str, reason: str) -> None:
        now = self.clock()
        async with self.store.transaction() as work:
            for name in sorted(names):
                await end_tokens(work, [name], reason=reason, identity=self.identity, now=now)
                await work.record(audit_trail.bridge_event(self.identity, action, reason, now=now, target=name[:500]))
