"""The revocation feed: what ended, in order, heard by every verifier (RFC 8417, RFC 8935; ADR 3)."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bridge import audit_trail
from bridge.model import Identity
from bridge.ports import Store, Transaction
from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.did.key import parse_did_key
from did_agent.encoding.digest import digest_uri
from did_agent.errors import UnknownEvent, UntrustedIssuer
from did_agent.keys.public import PublicKey
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.security_event import EventKind, Risk, SecurityEvent, sign_event, verify_event

PAGE: Final = 500  # entries of one answer
MAX_WAIT: Final = 25  # s a poll may hang
LOOK_AGAIN: Final = 1.0  # s between looks at the store, for news that another process wrote
ACKNOWLEDGE_WAIT: Final = 1.0  # s a push waits for connected subscribers
LINGER: Final = timedelta(seconds=2)  # a subscriber between two polls still counts as connected
MAX_SUBSCRIBERS: Final = 1_000
OWN_KINDS: Final[tuple[EventKind, ...]] = ("task-completed", "risk-signal")  # no issuer knows of these


async def announce(
    work: Transaction,
    kind: EventKind,
    subject: str,
    *,
    reason: str,
    key: str,
    identity: Identity,
    now: datetime,
    risk: Risk | None = None,
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
        risk=risk,
    )
    signer = identity.ring.signer()
    return await work.announce(event, sign_event(event, key=signer.key, kid=signer.kid), key=key)


async def end_tokens(work: Transaction, ids: Iterable[str], *, reason: str, identity: Identity, now: datetime) -> None:
    """Announce the end of every token that is one of `ids` or was made from one of them (DEL-10)."""
    for token_id in await work.tokens_under(ids, now=now):
        await announce(work, "token-revoked", token_id, reason=reason, key=token_id, identity=identity, now=now)


@dataclass(slots=True)
class _Subscriber:
    after: int
    polls: int
    seen: datetime


class RevocationFeed:
    """Takes events from issuers, keeps them, and hands them to verifiers that ask for what comes after."""

    def __init__(
        self, *, store: Store, identity: Identity, issuers: Callable[[], frozenset[str]], clock: Clock
    ) -> None:
        """`issuers` tells who is believed at this moment: their keys change, and end."""
        self._store, self._identity, self._issuers, self._clock = store, identity, issuers, clock
        self._news, self._heard = asyncio.Event(), asyncio.Event()
        self._subscribers: dict[str, _Subscriber] = {}
        self._keys: dict[str, PublicKey] = {}

    async def receive(self, token: str, *, request_id: str) -> None:
        """Store what a trusted issuer says has ended, then wait a moment until connected verifiers have heard.

        Raises: UntrustedIssuer and what `verify_event` raises.
        """
        now, issuer = self._clock(), self._identity.issuer
        event = verify_event(token, find_key=self._issuer_key, expected_issuer=None, expected_audience=issuer, now=now)
        if event.kind in OWN_KINDS:
            raise UnknownEvent("an event that this bridge alone tells")
        async with self._store.transaction() as work:
            fresh = await announce(
                work,
                event.kind,
                event.subject,
                reason=event.kind,  # the operator's words stay in the audit log; the feed is public
                key=f"{event.issuer} {event.id}",
                identity=self._identity,
                now=event.issued_at,
            )
            if fresh:
                await work.record(
                    audit_trail.bridge_event(
                        self._identity,
                        "revocation.receive",
                        event.reason or event.kind,
                        now=now,
                        principal=event.issuer,
                        principal_kind="service",
                        target=event.subject,
                        request_id=request_id,
                        details={"event": event.kind},
                    )
                )
            head = await work.feed_head()
        await self._spread(head)

    async def receive_all(self, tokens: Sequence[str], *, more: bool, request_id: str) -> None:
        """Store what a trusted issuer says in one breath, all of it or nothing.

        Verifiers are waited for once, after the last of several batches: `more` says that another one follows.
        Raises: UntrustedIssuer and what `verify_event` raises, for the first event that is not believed.
        """
        now, own = self._clock(), self._identity.issuer
        events = [
            verify_event(token, find_key=self._issuer_key, expected_issuer=None, expected_audience=own, now=now)
            for token in tokens
        ]
        if any(event.kind in OWN_KINDS for event in events):
            raise UnknownEvent("an event that this bridge alone tells")
        signer = self._identity.ring.signer()
        entries = [
            (said, sign_event(said, key=signer.key, kid=signer.kid), f"{event.issuer} {event.id}")
            for event, said in ((event, self._told(event)) for event in events)
        ]
        async with self._store.transaction() as work:
            fresh = await work.announce_all(entries)
            if fresh:
                await work.record(self._received(events, fresh, now=now, request_id=request_id))
            head = await work.feed_head()
        await self._spread(head, patiently=not more)

    def _told(self, event: SecurityEvent) -> SecurityEvent:
        """Return an event as this bridge tells it: the operator's words stay in the audit log; the feed is public."""
        issuer = self._identity.issuer
        return replace(event, id=uuid.uuid4().urn, reason=event.kind, issuer=issuer, audience=issuer)

    def _received(
        self, events: Sequence[SecurityEvent], fresh: Sequence[SecurityEvent], *, now: datetime, request_id: str
    ) -> AuditEvent:
        """Return the one event of a batch; its digest stands for all that ended, each on a line."""
        kinds = Counter(event.kind for event in fresh)
        subjects = "\n".join(event.subject for event in fresh)
        return audit_trail.bridge_event(
            self._identity,
            "revocation.receive",
            events[0].reason or events[0].kind,
            now=now,
            principal=events[0].issuer,
            principal_kind="service",
            argument_digest=digest_uri(subjects.encode()),
            request_id=request_id,
            details={kind: str(count) for kind, count in kinds.items()},
        )

    async def _spread(self, head: int, *, patiently: bool = True) -> None:
        """Wake those that poll, and wait a moment until connected verifiers have heard."""
        self._news.set()
        self._news = asyncio.Event()
        if not patiently:
            return
        # Subscribers of other processes are not seen here: they hear within LOOK_AGAIN, and the staleness cap of
        # each verifier stands behind both.
        deadline = _monotonic() + ACKNOWLEDGE_WAIT
        while self._is_behind(head) and (left := deadline - _monotonic()) > 0:
            await _wait(self._heard, seconds=left)

    async def poll(self, *, after: int, wait: float, subscriber: str | None) -> Sequence[tuple[int, str]]:
        """Return what came after a position, waiting up to `wait` seconds for news; asking acknowledges `after`."""
        known = self._arrive(subscriber, after)
        deadline = _monotonic() + min(wait, MAX_WAIT)
        try:
            while True:
                news = self._news  # taken before the look, so that nothing falls between look and wait
                async with self._store.transaction() as work:
                    items = await work.feed(after=after, limit=PAGE)
                left = deadline - _monotonic()
                if items or left <= 0:
                    published = frozenset(str(jwk["kid"]) for jwk in self._identity.ring.published())
                    return [(seq, self._current(text, published)) for seq, text in items]
                await _wait(news, seconds=min(left, LOOK_AGAIN))
        finally:
            known.polls -= 1
            known.seen = self._clock()

    def _current(self, text: str, published: frozenset[str]) -> str:
        """Return an entry as it was signed, or signed anew where its key is no longer published."""
        jws, claims = unverified_jws(text)
        if jws.header.get("kid") in published:
            return text
        signer = self._identity.ring.signer()
        return sign_jwt(claims, typ=str(jws.header["typ"]), key=signer.key, kid=signer.kid)

    def _arrive(self, name: str | None, after: int) -> _Subscriber:
        known = self._subscribers.pop(name or "", None) or _Subscriber(after=after, polls=0, seen=self._clock())
        known.after = after
        known.polls += 1
        if name is not None:
            self._subscribers[name] = known
        while len(self._subscribers) > MAX_SUBSCRIBERS:
            del self._subscribers[next(iter(self._subscribers))]
        self._heard.set()
        self._heard = asyncio.Event()
        return known

    def _is_behind(self, head: int) -> bool:
        since = self._clock() - LINGER
        return any(one.after < head and (one.polls > 0 or one.seen > since) for one in self._subscribers.values())

    def _issuer_key(self, _header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
        issuer = claims.get("iss")
        if issuer not in self._issuers():
            raise UntrustedIssuer("not an issuer of this deployment")
        if issuer not in self._keys:
            self._keys[issuer] = parse_did_key(issuer)
        return self._keys[issuer]


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


async def _wait(event: asyncio.Event, *, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return
