"""Carries notices to the bridge as Security Event Tokens (RFC 8417, pushed as RFC 8935 says) until it has them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import httpx2

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
_BATCH: Final = 100  # notices of one attempt
_log: Final = logging.getLogger("did_agent.news")


class BridgeNews:
    """Implements `issuer.ports.News`; one attempt runs at a time, so events keep their order."""

    def __init__(self, store: Store, delivery: Delivery, *, bridge_url: str, key: SigningKey, clock: Clock) -> None:
        self._store, self._delivery, self._bridge_url = store, delivery, bridge_url
        self._key, self._clock = key, clock
        self._lock = asyncio.Lock()

    def wake_audit(self) -> None:
        """Say that audit events wait."""
        self._delivery.wake()

    async def push(self) -> bool:
        """Try to deliver all that waits, now; True when nothing is left."""
        try:
            async with self._lock, peer_client() as http:
                return await self._drain(http)
        except (Unavailable, httpx2.HTTPError) as error:
            _log.warning("the bridge is away: %s", type(error).__name__)
            return False

    async def run(self) -> None:
        """Try again for ever what the first attempt left."""
        while True:
            await self.push()
            await asyncio.sleep(RETRY)

    async def _drain(self, http: httpx2.AsyncClient) -> bool:
        while True:
            async with self._store.work() as work:
                waiting = await work.notices(_BATCH)
            if not waiting:
                return True
            for notice in waiting:
                response = await http.post(
                    f"{self._bridge_url}/revocations",
                    content=self._signed(notice),
                    headers={"Content-Type": "application/secevent+jwt", "Accept": "application/json"},
                )
                if response.status_code != httpx2.codes.ACCEPTED:
                    raise Unavailable(f"the bridge answered {response.status_code}")
                async with self._store.work() as work:
                    await work.remove_notice(notice.id)

    def _signed(self, notice: Notice) -> str:
        did = did_key(self._key.public)
        event = SecurityEvent(
            id=notice.id,
            kind=notice.kind,
            subject=notice.subject,
            issued_at=notice.at,
            reason=notice.reason,
            issuer=did,
            audience=self._bridge_url,
        )
        return sign_event(event, key=self._key, kid=verification_method(did))
