"""What a guard shows to whoever asks: its metadata, whether it is alive and ready, and its counts if it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from did_agent.adapters.metrics import CONTENT_TYPE, READY
from did_agent.adapters.observing import Observer
from did_agent.adapters.readiness import LIVE_PATH, READY_PATH, Readiness
from did_agent.adapters.tracing import TRACEPARENT, TRACESTATE, current
from verifier.mcp.answers import Answer, ResourceMetadata
from verifier.metrics import show
from verifier.parts import GuardParts

Page = Callable[[], Awaitable[Answer]]
Headers = list[tuple[bytes, bytes]]

_OF_TRACES = (TRACEPARENT.encode(), TRACESTATE.encode())
_PLAIN = {"Content-Type": "application/json", "Cache-Control": "no-store"}


def pages(parts: GuardParts, metadata: ResourceMetadata, observer: Observer) -> Mapping[str, Page]:
    """Return the pages of a guard by their path, and have what it does counted."""
    observer.readiness = readiness = Readiness(parts=parts.health)
    observer.meter.read(READY, readiness.values)
    show(observer.meter, parts)

    async def described() -> Answer:
        return metadata.answer()

    async def alive() -> Answer:
        return Answer(status=200, headers=_PLAIN, body=b'{"status": "ok"}')

    async def ready() -> Answer:
        report = await readiness.report()
        return Answer(status=report.status, headers=_PLAIN, body=report.body())

    async def counts() -> Answer:
        headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        return Answer(status=200, headers=headers, body=await observer.metrics())

    found: dict[str, Page] = dict.fromkeys(metadata.paths, described)
    if parts.probes:
        found |= {LIVE_PATH: alive, READY_PATH: ready}
    return found if parts.metrics_path is None else {**found, parts.metrics_path: counts}


def carrying(headers: Headers) -> Headers:
    """Return the headers of a request that is handed on, with the trace it is in now."""
    trace = current()
    if trace is None:
        return headers
    own = [(name.encode(), value.encode()) for name, value in trace.headers().items()]
    return [*(pair for pair in headers if pair[0].lower() not in _OF_TRACES), *own]
