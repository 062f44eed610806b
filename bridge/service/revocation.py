"""The revocation feed: what ended, in order, heard by every verifier (RFC 8417, RFC 8935; ADR 3)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge import audit_trail
from bridge.model import FeedItem, Identity
from bridge.ports import Store, Transaction
from did_agent.clock import Clock
from did_agent.did.key import parse_did_key
from did_agent.errors import UntrustedIssuer
from did_agent.keys.ed25519 import PublicKey
from did_agent.tokens.security_event import EventKind, SecurityEvent, sign_event, verify_event

PAGE: Final = 500  # entries of one answer
MAX_WAIT: Final = 25.0  # s a poll may hang
LOOK_AGAIN: Final = 1.0  # s between looks at the store, for news that another process wrote
ACKNOWLEDGE_WAIT: Final = 1.0  # s a push waits for connected subscribers
LINGER: Final = timedelta(seconds=2)  # a subscriber between two polls still counts as connected
MAX_SUBSCRIBERS: Final = 1_000


async def announce_tokens(
    work: Transaction, token_ids: Sequence[str], *, reason: str, identity: Identity, now: datetime
) -> None:
    """Announce the end of tokens and of all tokens made from them, in the caller's transaction (DEL-10)."""
    for token_id in await work.tokens_under(token_ids, now=now):
        await announce(work, "token-revoked", token_id, reason=reason, identity=identity, now=now, key=token_id)


async def announce(
    work: Transaction,
    kind: EventKind,
    subject: str,
    *,
    reason: str,
    identity: Identity,
    now: datetime,
    key: str,
) -> bool:
    """Append one event, signed by this bridge, to the feed; False when `key` was announced before."""
    event = SecurityEvent(
        id=uuid.uuid4().urn,
        kind=kind,
        subject=subject,
        issued_at=now,
        reason=reason,
        issuer=identity.issuer,
        audience=identity.issuer,
    )
    return await work.announce(event, sign_event(event, key=identity.token_key, kid=identity.kid), key=key)


@dataclass(slots=True)
class _Subscriber:
    after: int
    polls: int
    seen: datetime


class RevocationFeed:
    """Takes events from issuers, keeps them, and hands them to verifiers that ask for what comes after."""

    def __init__(self, *, store: Store, identity: Identity, issuers: frozenset[str], clock: Clock) -> None:
        self._store, self._identity, self._issuers, self._clock = store, identity, issuers, clock
        self._news, self._heard = asyncio.Event(), asyncio.Event()
        self._subscribers: dict[str, _Subscriber] = {}

    async def receive(self, token: str, *, request_id: str | None) -> None:
        """Store what a trusted issuer says has ended, then wait a moment until connected verifiers have heard.

        Raises: UntrustedIssuer and what `verify_event` raises.
        """
        now = self._clock()
        event = verify_event(
            token,
            find_key=self._issuer_key,
            expected_issuer=None,
            expected_audience=self._identity.issuer,
            now=now,
        )
        async with self._store.transaction() as work:
            fresh = await announce(
                work,
                event.kind,
                event.subject,
                reason=event.kind,  # the operator's words stay in the audit log; the feed is public
                identity=self._identity,
                now=event.issued_at,
                key=f"{event.issuer} {event.id}",
            )
            if fresh:
                await work.record(
                    audit_trail.bridge_event(
                        self._identity,
                        action="revocation.receive",
                        now=now,
                        explanation=event.reason or event.kind,
                        principal=event.issuer,
                        principal_kind="service",
                        target=event.subject,
                        request_id=request_id,
                        details={"event": event.kind},
                    )
                )
        self.wake()
        await self._wait_for_subscribers()

    async def poll(self, *, after: int, wait: float, subscriber: str | None) -> Sequence[FeedItem]:
        """Return what came after a position, waiting up to `wait` seconds for news; asking acknowledges `after`."""
        known = self._arrive(subscriber, after)
        deadline = asyncio.get_running_loop().time() + min(wait, MAX_WAIT)
        try:
            while True:
                news = self._news  # taken before the look, so that nothing falls between look and wait
                items = await self._after(after)
                left = deadline - asyncio.get_running_loop().time()
                if items or left <= 0:
                    return items
                await _wait(news, seconds=min(left, LOOK_AGAIN))
        finally:
            if known is not None:
                known.polls -= 1
                known.seen = self._clock()

    def wake(self) -> None:
        """Tell waiting polls that there may be news."""
        self._news.set()
        self._news = asyncio.Event()

    async def _after(self, after: int) -> Sequence[FeedItem]:
        async with self._store.transaction() as work:
            return await work.feed(after=after, limit=PAGE)

    def _arrive(self, name: str | None, after: int) -> _Subscriber | None:
        if name is None:
            return None
        known = self._subscribers.pop(name, None) or _Subscriber(after=after, polls=0, seen=self._clock())
        known.after = after
        known.polls += 1
        self._subscribers[name] = known
        while len(self._subscribers) > MAX_SUBSCRIBERS:
            del self._subscribers[next(iter(self._subscribers))]
        self._heard.set()
        self._heard = asyncio.Event()
        return known

    async def _wait_for_subscribers(self) -> None:
        # Subscribers of other processes are not seen here: they hear within LOOK_AGAIN, and the staleness cap of
        # each verifier stands behind both.
        async with self._store.transaction() as work:
            head = await work.feed_head()
        deadline = asyncio.get_running_loop().time() + ACKNOWLEDGE_WAIT
        while self._is_behind(head) and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await _wait(self._heard, seconds=left)

    def _is_behind(self, head: int) -> bool:
        alive_since = self._clock() - LINGER
        return any(one.after < head and (one.polls > 0 or one.seen > alive_since) for one in self._subscribers.values())

    def _issuer_key(self, _header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
        issuer = claims.get("iss")
        if issuer not in self._issuers:
            raise UntrustedIssuer("not an issuer of this deployment")
        return parse_did_key(issuer)


async def _wait(event: asyncio.Event, *, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return


def cursor(items: Iterable[FeedItem], *, after: int) -> int:
    """Return the position to ask after next."""
    return max((item.seq for item in items), default=after)
