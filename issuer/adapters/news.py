"""Carries notices to the bridge as Security Event Tokens (RFC 8417, pushed as RFC 8935 says) until it has them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Final

import httpx2

from did_agent.adapters.failpoints import reach
from did_agent.adapters.http import peer_client
from did_agent.adapters.outbox import Delivery
from did_agent.clock import Clock
from did_agent.did.key import did_key, verification_method
from did_agent.errors import Unavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.security_event import SecurityEvent, sign_event
from issuer.model import Notice
from issuer.ports import Store

RETRY: Final = 1.0  # s between attempts while the bridge is away
_BATCH: Final = 400  # notices of one request, as many as the bridge takes
_MAX_BYTES: Final = 240_000  # of one request; the bridge takes 256 KiB
_PUNCTUATION: Final = 4  # bytes around a SET in a list
_log: Final = logging.getLogger("did_agent.news")


class BridgeNews:
    """Implements `issuer.ports.News`; one attempt runs at a time, so events keep their order."""

    def __init__(
        self, store: Store, delivery: Delivery, *, bridge_url: str, key: Callable[[], SigningKey], clock: Clock
    ) -> None:
        """`key` tells who signs at this moment."""
        self._store, self._delivery, self._bridge_url = store, delivery, bridge_url
        self._key, self._clock = key, clock
        self._lock = asyncio.Lock()

    def wake_audit(self) -> None:
        """Say that audit events wait."""
        self._delivery.wake()

    async def push(self) -> bool:
        """Try to deliver all that waits, now; True when nothing is left."""
        try:
            async with self._lock:
                if not await self._waiting():  # as most of the time: no client is made for nothing
                    return True
                async with peer_client() as http:
                    return await self._drain(http)
        except (Unavailable, httpx2.HTTPError) as error:  # or no key of ours is at hand
            _log.warning("the bridge is away: %s", type(error).__name__)
            return False

    async def run(self) -> None:
        """Try again for ever what the first attempt left."""
        while True:
            await self.push()
            await asyncio.sleep(RETRY)

    async def _drain(self, http: httpx2.AsyncClient) -> bool:
        while True:
            waiting = await self._waiting()
            if not waiting:
                return True
            reach("news.sending")
            told = await self._tell(http, waiting)
            reach("news.sent")
            async with self._store.work() as work:
                await work.remove_notices([notice.id for notice in told])

    async def _waiting(self) -> Sequence[Notice]:
        async with self._store.work() as work:
            return await work.notices(_BATCH)

    async def _tell(self, http: httpx2.AsyncClient, waiting: Sequence[Notice]) -> Sequence[Notice]:
        """Send what waits, as much as one request takes; return what of it the bridge has now."""
        if len(waiting) == 1:
            content, kind, path = self._signed(waiting[0]), "application/secevent+jwt", "/revocations"
        else:
            signed = fitting([self._signed(notice) for notice in waiting])
            more = len(signed) < len(waiting) or len(waiting) == _BATCH
            waiting = waiting[: len(signed)]
            content, kind = json.dumps({"sets": signed, "more": more}), "application/json"
            path = "/revocations/batch"
        headers = {"Content-Type": kind, "Accept": "application/json"}
        response = await http.post(self._bridge_url + path, content=content, headers=headers)
        if response.status_code != httpx2.codes.ACCEPTED:
            raise Unavailable(f"the bridge answered {response.status_code}")
        return waiting

    def _signed(self, notice: Notice) -> str:
        key = self._key()
        did = did_key(key.public)
        event = SecurityEvent(
            id=notice.id,
            kind=notice.kind,
            subject=notice.subject,
            issued_at=notice.at,
            reason=notice.reason,
            issuer=did,
            audience=self._bridge_url,
        )
        return sign_event(event, key=key, kid=verification_method(did))


def fitting(signed: Sequence[str]) -> Sequence[str]:
    """Return as many of the first as fit one request, at least one."""
    size, count = 0, 0
    while count < len(signed) and (count == 0 or size + len(signed[count]) + _PUNCTUATION <= _MAX_BYTES):
        size += len(signed[count]) + _PUNCTUATION
        count += 1
    return signed[:count]
