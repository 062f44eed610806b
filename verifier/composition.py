"""Joins the parts of a guard: doors, decision and gates, and what the guard hears from its bridge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Unpack

from did_agent.adapters.cedar import Cedar
from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.peer_certificate import Proxies
from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust_list import PulledTrust
from did_agent.clock import Clock, system_clock
from did_agent.credential.trust import TrustedIssuers, TrustSource
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from verifier.adapters.evidence import BridgeEvidence
from verifier.adapters.feed import RevocationFeed
from verifier.adapters.issuers import load_issuers
from verifier.adapters.keys import IssuerKeys
from verifier.adapters.limits import load_costs, open_limits
from verifier.adapters.marks import open_marks
from verifier.adapters.pins_file import PinsFile, SeenTools
from verifier.adapters.policy_bundle import BridgePolicy
from verifier.adapters.spool import Spool
from verifier.adapters.token_status import IssuerStatusLists
from verifier.delegation import StrictDelegation
from verifier.descoping import Descoping, NoRisks
from verifier.doors.presentation import PresentationDoor
from verifier.doors.token import TokenDoor
from verifier.forms import Forms, NothingHeard
from verifier.gates import RoomForTheRecord
from verifier.health import guard_parts
from verifier.limits.gate import LimitsGate
from verifier.parts import GuardParts, Work
from verifier.pins import KnownTools, PinnedTools
from verifier.policies import NoPolicies
from verifier.ports import Door
from verifier.receipts import Receipts
from verifier.service import Verifier
from verifier.settings import GuardOptions, VerifierSettings
from verifier.streams import OpenStreams


def compose(
    *, resource: str, bridge: str | None, clock: Clock = system_clock, **options: Unpack[GuardOptions]
) -> GuardParts:
    """Return the parts of a guard for one resource; without a bridge only other issuers and presentations count.

    Raises: Misconfigured.
    """
    settings = VerifierSettings.load(options)
    key = load_or_create_key(settings.key_file)
    issuers = load_issuers(options.get("issuers"), file=settings.issuers_file, data=settings.data)
    spool = Spool(settings.spool_file, clock=clock, max_waiting=settings.max_waiting)
    heard = None if bridge is None else _hear(bridge, key, settings, clock)
    feed = None if heard is None else heard.feed
    forms = Forms(resource=resource, key=key, settings=settings, revocations=feed or NothingHeard(), clock=clock)
    fetcher = GuardedFetcher(allow_loopback=is_loopback(bridge or resource))
    pulled = _pulled(settings, bridge, fetcher, clock)
    presentations = _presentations(forms, fetcher, pulled)
    session, swap = (None, None) if presentations is None else forms.swapping(presentations, replay=spool)
    doors = [*forms.foreign(issuers, bridge=bridge), *_bridge_door(forms, heard, presentations)]
    doors += [one for one in (presentations, session) if one is not None]
    if not doors:
        raise Misconfigured("nobody could enter: name a bridge, other issuers, or issuers of credentials")
    limits = LimitsGate(
        counter=open_limits(settings.limits_url, default=settings.spool_file),
        costs={**load_costs(settings.costs_file), **(options.get("costs") or {})},
        refunds=settings.refunds,
    )
    pinned, marks = _pinned(resource, settings), open_marks(settings.limits_url, default=settings.spool_file)
    policies = NoPolicies() if heard is None or heard.policy is None else heard.policy
    risks = feed or NoRisks()
    verifier = Verifier(
        resource=resource,
        source=did_key(key.public),
        party="verifier",
        doors=doors,
        revocations=forms.revocations,
        policies=policies,
        risks=risks,
        audit=spool,
        clock=clock,
        replay=spool,
        gates=(
            RoomForTheRecord(is_pressed=spool.is_pressed, only_reads=_only_reads(settings, pinned)),
            pinned,
            Descoping(policies=policies, risks=risks, marks=marks),
        ),
        is_pressed=spool.is_pressed,
        limits=limits,
    )
    streams = OpenStreams()
    if feed is not None:
        feed.watch(streams.cut)
    if feed is not None and presentations is not None:
        feed.watch(presentations.known.forget)
    if pulled is not None and presentations is not None:
        pulled.watch(partial(_end, streams, presentations))
    deliver = () if settings.ledger_url is None else (partial(spool.deliver, settings.ledger_url, key),)
    return GuardParts(
        verifier=verifier,
        spool=spool,
        background=(*(() if heard is None else heard.background), *(() if pulled is None else (pulled.run,)), *deliver),
        feed=feed,
        proxies=Proxies.of(settings.tls_proxies),
        streams=streams,
        closing=(limits.counter.close, marks.close, *forms.closing),
        metrics_path=settings.metrics_path,
        health=guard_parts(
            spool=spool,
            feed=feed,
            policy=None if heard is None else heard.policy,
            trusted=pulled,
            statuses=None if presentations is None else presentations.statuses,
            delivers=settings.ledger_url is not None,
            clock=clock,
        ),
        probes=settings.probes,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What a guard hears from its bridge."""

    bridge: str
    keys: IssuerKeys
    feed: RevocationFeed
    policy: BridgePolicy | None
    evidence: BridgeEvidence
    statuses: IssuerStatusLists  # of its long-lived tokens

    @property
    def background(self) -> Sequence[Work]:
        """What must run to hear it."""
        return (self.feed.run,) if self.policy is None else (self.feed.run, self.policy.run)


def _hear(bridge: str, key: SigningKey, settings: VerifierSettings, clock: Clock) -> _Heard:
    fetcher = GuardedFetcher(allow_loopback=is_loopback(bridge))
    keys = IssuerKeys(bridge, fetcher, clock=clock)
    policy = BridgePolicy(
        bridge,
        keys,
        key=key,
        client_id=settings.policy_client,
        file=settings.policy_file,
        language=Cedar(),
        clock=clock,
        refresh=timedelta(seconds=settings.policy_refresh),
    )
    return _Heard(
        bridge=bridge,
        keys=keys,
        feed=RevocationFeed(bridge, keys, clock=clock, staleness=timedelta(seconds=settings.staleness_seconds)),
        policy=None if settings.policy == "off" else policy,
        evidence=BridgeEvidence(bridge, fetcher),
        statuses=IssuerStatusLists(
            bridge, fetcher, keys=keys, max_age=timedelta(seconds=settings.status_max_age), clock=clock
        ),
    )


def _bridge_door(forms: Forms, heard: _Heard | None, presentations: PresentationDoor | None) -> Sequence[Door]:
    if heard is None:
        return ()
    delegation = _delegation(forms.settings, presentations, heard.evidence)
    door = TokenDoor(
        resource=forms.resource,
        issuer=heard.bridge,
        keys=heard.keys,
        delegation=delegation,
        nonces=forms.nonces,
        statuses=heard.statuses,
    )
    return (door,)


def _only_reads(settings: VerifierSettings, pinned: PinnedTools) -> Callable[[str], bool]:
    named = frozenset(settings.read_tools)
    return lambda tool: tool in named or pinned.is_read_only(tool)


def _pulled(
    settings: VerifierSettings, bridge: str | None, fetcher: GuardedFetcher, clock: Clock
) -> PulledTrust | None:
    """Return trust that follows the list of our issuer, where there is somebody to hear it from."""
    source = settings.issuer_url or bridge
    if source is None or not settings.trusted_issuers:
        return None
    return PulledTrust(
        source,
        anchors=frozenset(settings.trusted_issuers),
        file=settings.trust_file,
        resolver=DIDWebResolver(fetcher, clock=clock, allow_loopback=is_loopback(source)),
        clock=clock,
        refresh=timedelta(seconds=settings.trust_refresh),
        staleness=timedelta(seconds=settings.trust_max_age),
    )


async def _end(streams: OpenStreams, presentations: PresentationDoor, lost: frozenset[str]) -> None:
    presentations.known.forget(*lost)
    for issuer in lost:
        streams.cut(issuer)


def _presentations(forms: Forms, fetcher: GuardedFetcher, pulled: TrustSource | None) -> PresentationDoor | None:
    settings = forms.settings
    if not settings.trusted_issuers:
        return None
    trusted = pulled or TrustedIssuers.of(*settings.trusted_issuers)
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
