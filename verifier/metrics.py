"""A guard's counts as Prometheus reads them; labels come from closed sets (OPS-04)."""

from __future__ import annotations

from typing import Final

from did_agent.adapters.metrics import FEED_AGE, Meter, Metric, Values
from verifier.parts import GuardParts

CALLS: Final = Metric(
    "did_agent_guard_decisions_total", "counter", "Decisions on calls", ("decision", "reason", "form")
)
REFUSALS: Final = Metric("did_agent_guard_refusals_total", "counter", "Requests nobody was admitted for", ("reason",))
STREAMS: Final = Metric("did_agent_guard_open_streams", "gauge", "Answers under way")
KNOWN: Final = Metric("did_agent_guard_known_credentials", "gauge", "Texts verified before")
WAITING: Final = Metric("did_agent_guard_events_waiting", "gauge", "Events the ledger does not have")
AGE: Final = Metric("did_agent_guard_revocation_age_seconds", "gauge", "Since the revocation feed last answered")
OF_GUARDS: Final = (CALLS, REFUSALS, STREAMS, KNOWN, WAITING, AGE)


def show(meter: Meter, parts: GuardParts) -> None:
    """Have a guard's counts read whenever somebody asks."""
    verifier, tally = parts.verifier, parts.verifier.recorder.tally

    def age() -> Values:
        silent = parts.feed_age()
        return {} if silent is None else {(): silent}

    meter.read(CALLS, lambda: {labels: float(count) for labels, count in tally.decisions.items()})
    meter.read(REFUSALS, lambda: {(reason,): float(count) for reason, count in tally.refusals.items()})
    meter.read(STREAMS, lambda: {(): float(len(parts.streams))})
    meter.read(KNOWN, lambda: {(): float(len(verifier.known))})
    meter.read(WAITING, lambda: {(): float(parts.spool.waiting)})
    meter.read(AGE, age)
    meter.read(FEED_AGE, age)
