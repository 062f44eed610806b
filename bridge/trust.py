"""Joins what the bridge needs to follow its issuer's trust list, and to end what came of it."""

from __future__ import annotations

from datetime import timedelta

from bridge.service.lookup import Lookup
from bridge.service.trust import TrustWatch
from bridge.settings import BridgeSettings
from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.trust import Trust
from did_agent.adapters.trust_list import PulledTrust
from did_agent.clock import Clock


def pulled_trust(settings: BridgeSettings, trust: Trust, fetcher: GuardedFetcher, clock: Clock) -> PulledTrust:
    """Return whom this bridge believes: the issuers it was set up with, and whom their trust list names."""
    return PulledTrust(
        settings.issuer_url,
        anchors=frozenset(trust.issuers),
        file=settings.data / "bridge.trust-list.jwt",
        resolver=DIDWebResolver(fetcher, clock=clock, allow_loopback=is_loopback(settings.bridge_url)),
        clock=clock,
        refresh=timedelta(seconds=settings.trust_refresh),
        staleness=timedelta(seconds=settings.trust_max_age),
    )


def trust_watch(lookup: Lookup, trusted: PulledTrust, settings: BridgeSettings, clock: Clock) -> TrustWatch:
    """Return who ends what was made from credentials of others; it hears of every issuer that is trusted no more."""
    staleness = timedelta(seconds=settings.trust_max_age)
    watch = TrustWatch(
        store=lookup.store,
        identity=lookup.identity,
        trust=trusted,
        statuses=lookup.statuses,
        clock=clock,
        staleness=staleness,
    )
    trusted.watch(watch.lost)
    return watch
