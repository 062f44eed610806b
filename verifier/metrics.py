"""A guard's counts in the text format of Prometheus; labels come from closed sets (OPS-04)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from did_agent.errors import Misconfigured
from verifier.parts import GuardParts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class GuardMetrics:
    """Reads a guard at the moment it is asked; implements the library's collector."""

    def __init__(self, parts: GuardParts) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ImportError as error:
            raise Misconfigured("metrics need a library: pip install 'did-agent[metrics]'") from error
        self._parts = parts
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return the exposition."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Return every metric with its present value."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        verifier, tally = self._parts.verifier, self._parts.verifier.recorder.tally
        decisions = CounterMetricFamily(
            "did_agent_guard_decisions", "Decisions on calls", labels=("decision", "reason", "form")
        )
        for labels, count in tally.decisions.items():
            decisions.add_metric(labels, count)
        refusals = CounterMetricFamily(
            "did_agent_guard_refusals", "Requests nobody was admitted for", labels=("reason",)
        )
        for reason, count in tally.refusals.items():
            refusals.add_metric((reason,), count)
        yield decisions
        yield refusals
        gauges = {
            "did_agent_guard_open_streams": ("Answers under way", float(len(self._parts.streams))),
            "did_agent_guard_known_credentials": ("Texts verified before", float(len(verifier.known))),
            "did_agent_guard_events_waiting": ("Events the ledger does not have", float(self._parts.spool.waiting)),
        }
        age = self._parts.feed_age()
        if age is not None:
            gauges["did_agent_guard_revocation_age_seconds"] = ("Since the revocation feed last answered", age)
        for name, (words, value) in gauges.items():
            yield GaugeMetricFamily(name, words, value=value)
