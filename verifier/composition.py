"""Joins the parts of a guard: the verifier, its spool, its feed, and the tasks that keep them fresh."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final, Unpack

from did_agent.adapters.cedar import Cedar
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.peer_certificate import NO_PROXIES, Proxies
from did_agent.adapters.status import StatusLists
from did_agent.clock import Clock, system_clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.nonces import NonceRing
from verifier.adapters.evidence import BridgeEvidence
from verifier.adapters.feed import RevocationFeed
from verifier.adapters.issuers import load_issuers
from verifier.adapters.keys import IssuerKeys
from verifier.adapters.limits import load_costs, open_limits
from verifier.adapters.marks import open_marks
from verifier.adapters.pins_file import PinsFile, SeenTools
from verifier.adapters.policy_bundle import BridgePolicy
from verifier.adapters.spool import Spool
from verifier.delegation import StrictDelegation
from verifier.descoping import Descoping, NoRisks
from verifier.doors.presentation import PresentationDoor
from verifier.doors.token import TokenDoor
from verifier.forms import Forms, NothingHeard
from verifier.gates import RoomForTheRecord
from verifier.limits.gate import LimitsGate
from verifier.pins import KnownTools, PinnedTools
from verifier.policies import NoPolicies
from verifier.receipts import Receipts
from verifier.service import Verifier
from verifier.settings import GuardOptions, VerifierSettings
from verifier.streams import OpenStreams
from verifier.swap import Swap

Work = Callable[[], Awaitable[None]]

AGAIN: Final = 1.0  # s before work that ended is begun again
_log: Final = logging.getLogger("did_agent.guard")


@dataclass(slots=True)
class GuardParts:
    """A verifier and what runs beside it."""

    verifier: Verifier
    spool: Spool
    background: Sequence[Work]  # each runs for ever
    feed: RevocationFeed | None = None
    proxies: Proxies = NO_PROXIES  # whose word on client certificates is taken
    streams: OpenStreams = field(default_factory=OpenStreams)  # cut when what stands behind them is revoked
    metrics_path: str | None = None  # where the counts are shown
    swap: Swap | None = None  # of JSON presentations for sessions
    nonces: NonceRing | None = None  # that DPoP proofs must carry
    issuers: tuple[str, ...] = ()  # beside the bridge
    closing: Sequence[Work] = ()  # let go of connections
    pinned: PinnedTools | None = None  # that operators approved
    receipts: Receipts | None = None
    refunds_failures: bool = False  # whether it matters that a call failed
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def feed_age(self) -> float | None:
        """Return how many seconds ago the revocation feed last answered; None before its first answer (REV-01)."""
        return None if self.feed is None else self.feed.age(self.verifier.clock())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the feed and the delivery running while the block runs."""
        await self.ensure_running()
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            for close in self.closing:
                await close()

    async def ensure_running(self) -> None:
        """Start what must run beside the guard, once; servers without lifespan events come here first."""
        if not self._tasks:
            self._tasks += [asyncio.create_task(_forever(work)) for work in self.background]


def compose(
    *, resource: str, bridge: str | None, clock: Clock = system_clock, **options: Unpack[GuardOptions]
) -> GuardParts:
    """Return the parts of a guard for one resource; without a bridge only other issuers and presentations count.

    Raises: Misconfigured.
    """
    settings = VerifierSettings.load(options)
    key = load_or_create_key(settings.key_file)
    issuers = load_issuers(options.get("issuers"), file=settings.issuers_file, data=settings.data)
    fetcher = GuardedFetcher(allow_loopback=is_loopback(bridge or resource))
    keys = None if bridge is None else IssuerKeys(bridge, fetcher, clock=clock)
    staleness = timedelta(seconds=settings.staleness_seconds)
    feed = None if bridge is None or keys is None else RevocationFeed(bridge, keys, clock=clock, staleness=staleness)
    revocations = NothingHeard() if feed is None else feed
    spool = Spool(settings.spool_file, clock=clock, max_waiting=settings.max_waiting)
    forms = Forms(resource=resource, key=key, settings=settings, revocations=revocations, clock=clock)
    presentations = _presentations(forms, fetcher)
    session, swap = (None, None) if presentations is None else forms.swapping(presentations, replay=spool)
    doors = [*forms.foreign(issuers, bridge=bridge)]
    if bridge is not None and keys is not None:
        delegation = _delegation(settings, presentations, BridgeEvidence(bridge, fetcher))
        doors.append(TokenDoor(resource=resource, issuer=bridge, keys=keys, delegation=delegation, nonces=forms.nonces))
    doors += [one for one in (presentations, session) if one is not None]
    if not doors:
        raise Misconfigured("nobody could enter: name a bridge, other issuers, or issuers of credentials")
    limits = LimitsGate(
        counter=open_limits(settings.limits_url, default=settings.spool_file),
        costs={**load_costs(settings.costs_file), **(options.get("costs") or {})},
        refunds=settings.refunds,
    )
    pinned = _pinned(resource, settings)
    risks, marks = feed or NoRisks(), open_marks(settings.limits_url, default=settings.spool_file)
    policy = None if bridge is None or keys is None else _policy(bridge, keys, key, settings, clock)
    read_tools = frozenset(settings.read_tools)

    def only_reads(tool: str) -> bool:
        return tool in read_tools or pinned.is_read_only(tool)

    verifier = Verifier(
        resource=resource,
        source=did_key(key.public),
        party="verifier",
        doors=doors,
        revocations=revocations,
        policies=policy or NoPolicies(),
        risks=risks,
        audit=spool,
        clock=clock,
        replay=spool,
        gates=(
            RoomForTheRecord(is_pressed=spool.is_pressed, only_reads=only_reads),
            pinned,
            Descoping(policies=policy or NoPolicies(), risks=risks, marks=marks),
        ),
        is_pressed=spool.is_pressed,
        limits=limits,
    )
    background: list[Work] = [] if feed is None else [feed.run]
    if policy is not None:
        background.append(policy.run)
    if settings.ledger_url is not None:
        background.append(partial(spool.deliver, settings.ledger_url, key))
    streams = OpenStreams()
    if feed is not None:
        feed.watch(streams.cut)
    if feed is not None and presentations is not None:
        feed.watch(presentations.known.forget)
    return GuardParts(
        verifier=verifier,
        spool=spool,
        background=background,
        feed=feed,
        proxies=Proxies.of(settings.tls_proxies),
        streams=streams,
        closing=(limits.counter.close, marks.close, *forms.closing),
        metrics_path=settings.metrics_path,
        swap=swap,
        nonces=forms.nonces,
        issuers=tuple(one.issuer for one in issuers),
        pinned=pinned,
        receipts=Receipts(resource=resource, key=key, clock=clock),
        refunds_failures=settings.refunds == "on_error",
    )


def token_verifier(  # each is one thing a party must say
    *, resource: str, bridge: str, key: SigningKey, party: str, audit: Any, clock: Clock
) -> tuple[Verifier, RevocationFeed]:
    """Return a verifier of tokens alone, and the feed its owner must keep running; for the parties' own APIs."""
    fetcher = GuardedFetcher(allow_loopback=is_loopback(bridge))
    keys = IssuerKeys(bridge, fetcher, clock=clock)
    feed = RevocationFeed(bridge, keys, clock=clock)
    verifier = Verifier(
        resource=resource,
        source=did_key(key.public),
        party=party,
        doors=(TokenDoor(resource=resource, issuer=bridge, keys=keys),),
        revocations=feed,
        audit=audit,
        clock=clock,
    )
    return verifier, feed


def _pinned(resource: str, settings: VerifierSettings) -> PinnedTools:
    return PinnedTools(
        pins=PinsFile(
            settings.pins_file,
            operators=settings.operators,
            resource=resource,
            is_required=settings.tool_pins == "required",
        ),
        known=KnownTools(max_age=timedelta(seconds=settings.tool_max_age)),
        sightings=SeenTools(settings.seen_tools_file, resource=resource),
    )


def _policy(
    bridge: str, keys: IssuerKeys, key: SigningKey, settings: VerifierSettings, clock: Clock
) -> BridgePolicy | None:
    if settings.policy == "off":
        return None
    return BridgePolicy(
        bridge,
        keys,
        key=key,
        client_id=settings.policy_client,
        file=settings.policy_file,
        language=Cedar(),
        clock=clock,
        refresh=timedelta(seconds=settings.policy_refresh),
    )


def _presentations(forms: Forms, fetcher: GuardedFetcher) -> PresentationDoor | None:
    settings = forms.settings
    if not settings.trusted_issuers:
        return None
    trusted = TrustedIssuers.of(*settings.trusted_issuers)
    max_age = timedelta(seconds=settings.status_max_age)
    statuses = StatusLists(fetcher, trusted=trusted, max_age=max_age, clock=forms.clock)
    return PresentationDoor(
        resource=forms.resource, trusted=trusted, statuses=statuses, mode=settings.vp_mode, nonces=forms.nonces
    )


def _delegation(
    settings: VerifierSettings, door: PresentationDoor | None, evidence: BridgeEvidence
) -> StrictDelegation | None:
    if settings.strict_delegation == "off":
        if settings.strict_agent_key:
            raise Misconfigured("strict_agent_key needs strict_delegation")
        return None
    if door is None:
        raise Misconfigured("strict delegation needs trusted issuers: name them, or have a trust.json")
    return StrictDelegation(
        strictness=settings.strict_delegation,
        agent_key=settings.strict_agent_key,
        trusted=door.trusted,
        evidence=evidence,
        statuses=door.statuses,
        known=door.known,
    )


async def _forever(work: Work) -> None:
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  # a guard that hears nothing and delivers nothing must not look as if it did
            _log.exception("work beside the guard ended, and is begun again")
        await asyncio.sleep(AGAIN)
