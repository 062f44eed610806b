"""Carries announcements to the endpoints of webhooks until they have them, or for a day (WEB-11)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from did_agent.adapters.http import TOTAL_TIMEOUT
from did_agent.clock import Clock
from did_agent.errors import PeerUnavailable, Unavailable
from issuer.model import Operator
from issuer.model.webhooks import Delivery, Endpoint
from issuer.ports import Work
from issuer.service.office import Office
from issuer.webhooks import signed_headers, wait_after

LOOK: Final = 1.0  # s between looks when nothing waits
BATCH: Final = 32  # deliveries of one look
EACH: Final = 4  # of them to one endpoint: one that hangs must not take all places
CLAIM: Final = timedelta(seconds=30)  # after which somebody else may take over; longer than an attempt lasts
KEEP: Final = timedelta(days=7)  # how long what is over can be looked at and sent again
_GONE: Final = 410
_EVERY: Final = 600  # looks between forgetting

_log: Final = logging.getLogger("did_agent.webhooks")


class Poster(Protocol):
    """Sends to addresses that somebody else wrote down."""

    async def post(self, url: str, *, content: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer.  Raises: PeerUnavailable."""
        ...


class WebhookDelivery:
    """Any number of processes may run one: a delivery is claimed before it is tried."""

    def __init__(self, office: Office, poster: Poster, *, root: bytes, clock: Clock) -> None:
        self._office, self._poster, self._root, self._clock = office, poster, root, clock

    async def run(self) -> None:
        """Deliver for ever."""
        looks = 0
        while True:
            done = 0
            try:
                done = await self.deliver()
                if looks % _EVERY == 0:
                    await self.forget()
            except Unavailable as error:
                _log.warning("webhooks wait: %s", type(error).__name__)
            looks += 1
            if done == 0:
                await asyncio.sleep(LOOK)

    async def deliver(self) -> int:
        """Try what is due now; return how many there were."""
        now = self._clock()
        async with self._office.store.work() as work:
            due = await work.claim_deliveries(now=now, until=now + CLAIM, limit=BATCH, each=EACH)
        await asyncio.gather(*(self._attempt(endpoint, delivery) for endpoint, delivery in due))
        return len(due)

    async def forget(self) -> None:
        """Forget what has long been over."""
        async with self._office.store.work() as work:
            await work.forget_deliveries(self._clock() - KEEP)

    async def _attempt(self, endpoint: Endpoint, delivery: Delivery) -> None:
        headers = signed_headers(self._root, endpoint, delivery, now=self._clock())
        status = 0
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT + 1):
                status = await self._poster.post(endpoint.url, content=delivery.body.encode(), headers=headers)
            outcome = str(status)
        except (PeerUnavailable, TimeoutError) as error:
            outcome = "unreachable"
            _log.info("a webhook was not reached: %s", type(error).__name__)
        after = self._judged(delivery, outcome, is_heard=200 <= status < 300)
        async with self._office.store.work() as work:
            await work.settle_delivery(after)
            if status == _GONE:
                await self._disable(work, endpoint)
            elif after.state == "dead":
                await self._give_up(work, endpoint, after)

    def _judged(self, delivery: Delivery, outcome: str, *, is_heard: bool) -> Delivery:
        now, attempts = self._clock(), delivery.attempts + 1
        tried = replace(delivery, attempts=attempts, outcome=outcome, next_attempt=now)
        if is_heard:
            return replace(tried, state="delivered")
        following = now + wait_after(attempts, spread=secrets.randbelow(1_000) / 1_000)
        if outcome == str(_GONE) or following > delivery.gives_up:
            return replace(tried, state="dead")
        return replace(tried, next_attempt=following)

    async def _disable(self, work: Work, endpoint: Endpoint) -> None:
        found = await work.endpoint(endpoint.id, organisation=endpoint.organisation)
        if found is None or found.disabled is not None:
            return
        await work.change_endpoint(replace(found, disabled="its receiver answered 410 Gone"))
        by = Operator(request_id=endpoint.id, organisation=endpoint.organisation)
        await work.record(self._office.event(by, "webhook.disable", endpoint.id, "its receiver answered 410 Gone"))

    async def _give_up(self, work: Work, endpoint: Endpoint, delivery: Delivery) -> None:
        by = Operator(request_id=delivery.id, organisation=endpoint.organisation)
        event = self._office.event(by, "webhook.give-up", endpoint.id, f"not delivered in {delivery.attempts} attempts")
        await work.record(replace(event, decision="deny", reason="peer_unavailable"))
