"""What a party lets others see of its work: counts, spans and log lines of each request, by route and never by name."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.http import is_loopback
from did_agent.adapters.log_lines import log_for
from did_agent.adapters.metrics import (
    CONTENT_TYPE,
    OPEN,
    OTHER,
    PATH,
    REQUESTS,
    SECONDS,
    Meter,
    count_for,
    counted,
    exposition,
)
from did_agent.adapters.readiness import LIVE_PATH, READY_PATH, Readiness
from did_agent.adapters.tracing import Trace, Tracer, current, enter, mark, trace_in, trace_of
from did_agent.audit.event import MAX_DETAILS, AuditEvent

TRACE_ID: Final = "trace_id"  # members of an event's details
SPAN_ID: Final = "span_id"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ROUTE: Final = "did_agent.route"  # where whoever answers says which route it was
_access: Final = logging.getLogger("did_agent.access")

Scope = MutableMapping[str, Any]


class ObservingSettings(BaseSettings):
    """Where counts are shown and spans are sent."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    # Whether a party shows its counts at `/metrics`; auto: at an address of this machine alone.
    metrics: Literal["auto", "on", "off"] = "auto"
    metrics_bind: str | None = None  # address and port of a listener of its own for them; then it alone shows them
    traces_url: str | None = None  # where spans are sent by OTLP over HTTP; None: traces are only handed on


@dataclass(slots=True)
class Seen:
    """One request as it is watched."""

    trace: Trace | None
    span: Any = None
    status: int = 0
    route: str | None = None


class Observer:
    """Watches one party."""

    def __init__(self, party: str, *, tracer: Tracer | None = None, shows_metrics: bool = False) -> None:
        self.party, self.meter, self._tracer, self.shows_metrics = party, Meter(party), tracer, shows_metrics
        self.readiness: Readiness | None = None
        self._open = 0
        self.meter.read(OPEN, lambda: {(): float(self._open)})

    @classmethod
    def of(cls, party: str, url: str) -> Observer:
        """Return the observer of a party that is reached at `url`, as the environment says.

        Raises: Misconfigured.
        """
        settings = ObservingSettings()
        shows = settings.metrics == "on" or (settings.metrics == "auto" and is_loopback(url))
        tracer = None if settings.traces_url is None else Tracer(settings.traces_url, service=f"did-agent-{party}")
        return cls(party, tracer=tracer, shows_metrics=shows and settings.metrics_bind is None)

    @contextmanager
    def request(self, scope: Scope, request_id: str) -> Iterator[Seen]:
        """Watch a request while the block runs; what is sent goes through `watching`."""
        begun = time.monotonic()
        seen = Seen(trace_in(scope["headers"]))
        if self._tracer is not None:
            seen.span = self._tracer.begin(_method(scope), seen.trace, kind="server")
            seen.trace = trace_of(seen.span)
        leave = self._enter(request_id, seen.trace)
        self._open += 1
        try:
            yield seen
        finally:
            self._open -= 1
            self._end(scope, seen, time.monotonic() - begun)
            for one in leave:
                one()

    def joins(self, seen: Seen, trace: Trace | None, request_id: str) -> None:
        """Follow a trace that the message named, unless the headers tell more of the same one (SEP-414)."""
        if trace is None or (seen.trace is not None and seen.trace.trace_id == trace.trace_id):
            return
        if self._tracer is not None and seen.span is not None:
            seen.span = self._tracer.begin("mcp", trace, kind="server")
            trace = trace_of(seen.span)
        seen.trace = trace
        self._enter(request_id, trace)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Have this task, and what it starts, count for this party while the block runs; then send what is left."""
        count_for(self.meter)
        try:
            yield
        finally:
            if self._tracer is not None:
                await asyncio.to_thread(self._tracer.close)

    def add_span(self, name: str, parent: Trace) -> None:
        """Note in somebody's trace that something happened here, now."""
        if self._tracer is not None:
            self._tracer.begin(name, parent, kind="internal").end()

    @property
    def is_tracing(self) -> bool:
        """Whether spans are sent anywhere."""
        return self._tracer is not None

    async def metrics(self) -> bytes:
        """Return the exposition."""
        return await exposition([self.meter])

    def _enter(self, request_id: str, trace: Trace | None) -> Sequence[Callable[[], None]]:
        return count_for(self.meter), enter(trace), log_for(self.party, request_id, trace)

    def _end(self, scope: Scope, seen: Seen, seconds: float) -> None:
        method, route = _method(scope), seen.route or route_of(scope)
        self.meter.add(REQUESTS, method, route, str(seen.status))
        self.meter.time(SECONDS, route, seconds=seconds)
        if seen.span is not None:
            seen.span.update_name(f"{method} {route}")
            attributes: dict[str, str | int] = {"http.request.method": method, "http.route": route}
            if seen.status:
                attributes["http.response.status_code"] = seen.status
            mark(seen.span, attributes, failed=str(seen.status) if seen.status >= 500 else None)
            seen.span.end()
        if _access.isEnabledFor(logging.INFO):
            told = {"method": method, "route": route, "status": seen.status, "ms": round(seconds * 1_000, 2)}
            _access.info("request", extra=told)


def watching(send: Any, seen: Seen) -> Any:
    """Return a `send` that notes the status of the answer."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.status = message["status"]
        await send(message)

    return sending


def name_route(scope: Scope, route: str) -> None:
    """Say which route a request took, where no framework does."""
    scope[_ROUTE] = route


def route_of(scope: Scope) -> str:
    """Return the template of the route that answered; paths as they were sent are never labels (OPS-04)."""
    named = scope.get(_ROUTE)
    if isinstance(named, str):
        return named
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else OTHER


def witnessed(event: AuditEvent) -> AuditEvent:
    """Count an event that goes on record, and return it with the trace that it belongs to."""
    counted(event)
    trace = current()
    if trace is None or TRACE_ID in event.details or len(event.details) + 2 > MAX_DETAILS:
        return event
    return replace(event, details={**event.details, TRACE_ID: trace.trace_id, SPAN_ID: trace.span_id})


def metrics_app(observers: Callable[[], Sequence[Observer]]) -> Any:
    """Return an ASGI app for a listener of its own: the counts of several parties, and whether all are ready."""

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            path = scope["path"] if scope["method"] in ("GET", "HEAD") else ""
            status, headers, body = await _watched(path, observers())
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _watched(path: str, observers: Sequence[Observer]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    if path == PATH:
        body = await exposition([one.meter for one in observers])
        return 200, metrics_headers(body), body
    status: int = 404
    members: dict[str, object] = {"status": "not_found"}
    if path == LIVE_PATH:
        status, members = 200, {"status": "ok"}
    elif path == READY_PATH:
        reports = {one.party: await one.readiness.report() for one in observers if one.readiness is not None}
        status = max((report.status for report in reports.values()), default=200)
        members = {"parties": {party: report.members() for party, report in reports.items()}}
    body = json.dumps(members).encode()
    return status, [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())], body


def metrics_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of an exposition."""
    return [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else OTHER
