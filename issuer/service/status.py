"""Status lists: places for new credentials, and what was revoked and suspended as signed lists (VCX-10).

A list is kept as bits, brought up to date by what was flipped since, and signed when something changed or half of its
time to live is over.  What this process flipped is seen at once, what another one flipped within `LOOK_EVERY`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.encoding.digest import digest_uri
from did_agent.errors import NotFound
from did_agent.keys.ed25519 import SigningKey
from issuer.model.status import Flip, Place
from issuer.service.office import Office
from issuer.service.places import BLOCK, Form, KeptList, ServedList
from issuer.status_lists import Bits, require_size, sign_list, sign_token_list, window_of

LOOK_EVERY: Final = timedelta(seconds=1)  # how old a list may be that another process changed
PAGE: Final = 2_000  # flips read at once; other requests come in between


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRoom:
    """Hands out places in status lists."""

    office: Office

    async def take(self, organisation: str, count: int = 1) -> Sequence[Place]:
        """Return places that nobody was given before, in an order that tells nothing.

        It opens a transaction of its own when none are left in hand: call it before yours, not inside.
        Raises: StoreUnavailable.
        """
        office, issuer = self.office, self.office.did_of(organisation)
        taken = office.places.take(organisation, issuer, count)
        if len(taken) == count:
            return taken
        async with office.places.lock(organisation):
            taken += office.places.take(organisation, issuer, count - len(taken))
            missing = count - len(taken)
            if missing:
                capacity = require_size(office.list_size)
                async with office.store.work() as work:
                    leases = await work.lease(
                        organisation, max(missing, BLOCK), issuer=issuer, size=office.list_size, capacity=capacity
                    )
                office.places.add(organisation, issuer, leases)
                taken += office.places.take(organisation, issuer, missing)
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """What was suspended and revoked, as lists."""

    office: Office

    async def serve(self, form: Form, number: int) -> ServedList:
        """Return a status list as it is now, signed.

        Raises: NotFound, KeysUnavailable, StoreUnavailable.
        """
        served = self._in_hand(form, number, self.office.clock())
        if served is not None:
            return served
        async with self.office.lists.lock(number):
            now = self.office.clock()
            served = self._in_hand(form, number, now)
            return served or await self._build(await self._current(number, now), form, now)

    def _in_hand(self, form: Form, number: int, now: datetime) -> ServedList | None:
        kept = self.office.lists.get(number)
        if kept is None or not self._is_current(kept, now):
            return None
        served = kept.served.get(form)
        fits = served is not None and served.version == kept.version and served.window == window_of(now)
        return served if fits else None

    def _is_current(self, kept: KeptList, now: datetime) -> bool:
        heard = self.office.store.flipped(kept.listed.number)
        return kept.heard == heard and timedelta(0) <= now - kept.looked < LOOK_EVERY

    async def _current(self, number: int, now: datetime) -> KeptList:
        """Return a list with every flip that was committed before now."""
        kept = self.office.lists.get(number)
        if kept is None or not self._is_current(kept, now):
            heard = self.office.store.flipped(number)  # before the look: what is flipped during it is looked at again
            kept = await self._brought_up(number, kept)
            kept.heard, kept.looked = heard, now
        self.office.lists.keep(number, kept)
        return kept

    async def _brought_up(self, number: int, kept: KeptList | None) -> KeptList:
        async with self.office.store.work() as work:
            if kept is None:
                listed = await work.status_list(number)
                if listed is None:
                    raise NotFound("there is no such status list")
                kept = KeptList(listed=listed, bits=Bits.clear(listed.size), looked=self.office.clock())
            version = await work.list_version(number)
        page, after = PAGE, None
        while version > kept.version and page == PAGE:
            async with self.office.store.work() as work:  # each page by itself: others write in between
                flips: Sequence[Flip] = await work.flips(number, after=after, since=kept.version, limit=PAGE)
            kept.bits.apply(flips)
            page, after = len(flips), flips[-1] if flips else None
            await asyncio.sleep(0)
        kept.version = version
        return kept

    async def _build(self, kept: KeptList, form: Form, now: datetime) -> ServedList:
        # By the key of its credentials and no other: a list by another one would be believed by nobody (VCX-10).
        key = self.office.ring.find(kept.listed.organisation, kept.listed.issuer)
        # Compressing takes milliseconds and lets go of the interpreter; other requests go on.  Nobody changes the
        # bits meanwhile: that takes the lock of this list.
        body = await asyncio.to_thread(_signed, kept, form, key, self.office.url, now)
        served = ServedList(body=body, tag=digest_uri(body)[-43:], version=kept.version, window=window_of(now))
        kept.served[form] = served
        return served


def _signed(kept: KeptList, form: Form, key: SigningKey, url: str, now: datetime) -> bytes:
    number = kept.listed.number
    if form == "token":
        return sign_token_list(kept.bits, number=number, key=key, issuer_url=url, now=now).encode()
    document = sign_list(kept.bits.of(form), purpose=form, number=number, key=key, issuer_url=url, now=now)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
