"""What a party counts, and how Prometheus reads it (text format 0.0.4).

Labels come from closed sets, and a metric never has more than `MAX_SERIES` series: what comes beyond is counted under
"other" (OPS-04).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final, Literal

from did_agent.audit.event import AuditEvent
from did_agent.errors import DidAgentError

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PATH: Final = "/metrics"
MAX_SERIES: Final = 1_000  # of one metric
OTHER: Final = "other"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # s
READING: Final = 1.0  # s the values that must be looked up may take
_ISSUE: Final = "token.issue"
_log: Final = logging.getLogger("did_agent.metrics")

Labels = tuple[str, ...]
Values = Mapping[Labels, float]  # of one metric, by its labels
Read = Callable[[], "Values | Awaitable[Values]"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One name, and what its labels are beside `party`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    says: str
    labels: Labels = ()


REQUESTS: Final = Metric("did_agent_http_requests_total", "counter", "Answered requests", ("method", "route", "status"))
SECONDS: Final = Metric("did_agent_http_request_seconds", "histogram", "Time until the whole answer", ("route",))
OPEN: Final = Metric("did_agent_http_requests_open", "gauge", "Requests being answered")
DECISIONS: Final = Metric(
    "did_agent_decisions_total", "counter", "Decisions on record", ("action", "decision", "reason")
)
TOKENS: Final = Metric("did_agent_tokens_issued_total", "counter", "Access tokens issued", ("grant",))
FLIPS: Final = Metric("did_agent_status_flips_total", "counter", "Places of status lists that this process changed")
WAITING: Final = Metric("did_agent_outbox_events", "gauge", "Audit events that the ledger does not have yet")
LAG: Final = Metric("did_agent_outbox_lag_seconds", "gauge", "Age of the oldest of them")
LOG_SIZE: Final = Metric("did_agent_ledger_events", "gauge", "Events in the log")
TAKEN: Final = Metric(
    "did_agent_ledger_taken_total", "counter", "Events delivered, by what became of them", ("result",)
)
FEED_AGE: Final = Metric("did_agent_feed_age_seconds", "gauge", "Since the revocation feed last answered")
POOL: Final = Metric("did_agent_database_connections", "gauge", "Connections of the pool in use")
READY: Final = Metric("did_agent_ready", "gauge", "Whether a part is well: 1, or 0", ("part",))
BUILD: Final = Metric("did_agent_build_info", "gauge", "Always 1", ("version", "python"))


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


class Meter:
    """The counts of one party since its start; nothing of it is shared between parties."""

    def __init__(self, party: str) -> None:
        self.party = party
        self._counts: dict[Metric, dict[Labels, float]] = {}
        self._times: dict[Metric, dict[Labels, _Histogram]] = {}
        self._reads: dict[Metric, Read] = {}
        self.read(BUILD, lambda: {(version("did-agent"), ".".join(map(str, sys.version_info[:3]))): 1.0})

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Count something."""
        series = self._counts.setdefault(metric, {})
        labels = _bounded(series, labels)
        series[labels] = series.get(labels, 0) + by

    def time(self, metric: Metric, *labels: str, seconds: float) -> None:
        """Count how long something took."""
        series = self._times.setdefault(metric, {})
        labels = _bounded(series, labels)
        found = series.get(labels)
        if found is None:
            found = series[labels] = _Histogram()
        found.counts[bisect_left(BUCKETS, seconds)] += 1
        found.total += seconds

    def read(self, metric: Metric, values: Read) -> None:
        """Have a metric looked up whenever somebody asks."""
        self._reads[metric] = values

    def event(self, event: AuditEvent) -> None:
        """Count a decision that goes on record."""
        self.add(DECISIONS, event.action, event.decision, event.reason)
        if event.action == _ISSUE and event.decision == "allow":
            self.add(TOKENS, event.details.get("grant", OTHER))

    async def samples(self) -> dict[Metric, list[tuple[str, Labels, float]]]:
        """Return every metric with its samples: what is added to its name, all labels with their names, the value."""
        found: dict[Metric, list[tuple[str, Labels, float]]] = {}
        for metric, series in self._counts.items():
            found[metric] = [("", labels, value) for labels, value in series.items()]
        for metric, times in self._times.items():
            found[metric] = [one for labels, kept in times.items() for one in _cumulated(labels, kept)]
        values = await asyncio.gather(*(self._look(metric, read) for metric, read in self._reads.items()))
        for metric, looked in zip(self._reads, values, strict=True):
            if looked:
                found.setdefault(metric, []).extend(("", labels, value) for labels, value in looked.items())
        return found

    async def _look(self, metric: Metric, read: Read) -> Values:
        try:
            found = read()
            if isinstance(found, Mapping):
                return found
            async with asyncio.timeout(READING):
                return await found
        except (DidAgentError, TimeoutError, OSError) as error:
            _log.info("%s could not be read: %s", metric.name, type(error).__name__)
            return {}  # a value that cannot be had is left out; the others tell why


_meter: ContextVar[Meter | None] = ContextVar("did_agent_meter", default=None)


def count_for(meter: Meter) -> Callable[[], None]:
    """Have this task, and what it starts, count for a party, until what is returned is called."""
    token = _meter.set(meter)
    return lambda: _meter.reset(token)


def counted(event: AuditEvent) -> None:
    """Count an event for the party that this task works for; nobody may be counting."""
    meter = _meter.get()
    if meter is not None:
        meter.event(event)


async def exposition(meters: Iterable[Meter]) -> bytes:
    """Return what the parties counted, each metric once, with the party as its first label."""
    merged: dict[Metric, list[str]] = {}
    for meter in meters:
        for metric, samples in (await meter.samples()).items():
            merged.setdefault(metric, []).extend(_line(metric, meter.party, *sample) for sample in samples)
    lines: list[str] = []
    for metric in sorted(merged, key=lambda one: one.name):
        lines += [f"# HELP {metric.name} {metric.says}", f"# TYPE {metric.name} {metric.kind}", *merged[metric]]
    return "\n".join([*lines, ""]).encode()


def _bounded(series: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if labels in series or len(series) < MAX_SERIES else (OTHER,) * len(labels)


def _cumulated(labels: Labels, kept: _Histogram) -> Sequence[tuple[str, Labels, float]]:
    found, total = [], 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), kept.counts, strict=True):
        total += count
        found.append(("_bucket", (*labels, bound), float(total)))
    return [*found, ("_sum", labels, kept.total), ("_count", labels, float(total))]


def _line(metric: Metric, party: str, suffix: str, labels: Labels, value: float) -> str:
    names = ("party", *metric.labels, *(("le",) if suffix == "_bucket" else ()))
    pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in zip(names, (party, *labels), strict=True))
    shown = int(value) if float(value).is_integer() else value
    return f"{metric.name}{suffix}{{{pairs}}} {shown}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
