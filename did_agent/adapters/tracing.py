"""W3C Trace Context: read, carried through a request, handed on; exported as OpenTelemetry spans where that is set up.

Without the library a party passes on what it was given, so that a trace stays whole around it.  A span names routes,
statuses and codes; nothing a caller sent is in it but the ids of the trace (OPS-02).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from did_agent.errors import Misconfigured

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_STATE: Final = 512  # characters of a tracestate that is handed on; a longer one is dropped (W3C, 3.3.1.5)
EXPORT_SECONDS: Final = 5  # s until the receiver of spans must have answered
_VERSION: Final = "00"
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE: Final = re.compile(r"[\x20-\x7e]*")
_DETAILS: Final = re.compile(r'"span_id":"([0-9a-f]{16})"(?:,"[^"]*":"[^"]*")*,"trace_id":"([0-9a-f]{32})"')

Kind = Literal["server", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where we are in a trace: its id, and the span that whatever follows is below."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    flags: int = 1  # 1: is recorded
    state: str = ""  # what tracing systems tell each other

    def headers(self) -> dict[str, str]:
        """Return the headers, or members of an MCP `_meta`, that carry it on."""
        carried = {TRACEPARENT: f"{_VERSION}-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        return {**carried, TRACESTATE: self.state} if self.state else carried


_current: ContextVar[Trace | None] = ContextVar("did_agent_trace", default=None)


def parse_trace(parent: object, state: object = None) -> Trace | None:
    """Return the trace that a `traceparent` names; None for one that cannot be read, which counts as none."""
    found = _PARENT.fullmatch(parent) if isinstance(parent, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    is_known = version != "ff" and (version != _VERSION or rest is None)
    if not is_known or not int(trace_id, 16) or not int(span_id, 16):
        return None
    kept = state if isinstance(state, str) and len(state) <= MAX_STATE and _STATE.fullmatch(state) else ""
    return Trace(trace_id=trace_id, span_id=span_id, flags=int(flags, 16) & 1, state=kept)


def trace_in(headers: list[tuple[bytes, bytes]]) -> Trace | None:
    """Return the trace that the headers of a request carry; two parents are none (W3C, 3.2)."""
    parents = [value.decode("latin-1") for name, value in headers if name.lower() == b"traceparent"]
    states = [value.decode("latin-1") for name, value in headers if name.lower() == b"tracestate"]
    return parse_trace(parents[0], ",".join(states)) if len(parents) == 1 else None


def traces_in(events: bytes) -> Iterator[Trace]:
    """Yield the trace of each canonical audit event that has one."""
    for found in _DETAILS.finditer(events.decode("utf-8", errors="replace")):
        yield Trace(trace_id=found.group(2), span_id=found.group(1))


def carried_by(events: Iterable[str]) -> dict[str, str]:
    """Return the headers of a delivery of canonical audit events: the trace of the first that has one."""
    found = next((trace for event in events for trace in traces_in(event.encode())), None)
    return {} if found is None else found.headers()


def current() -> Trace | None:
    """Return the trace we are in: that of a request, or of the program around us if it uses OpenTelemetry."""
    ours = _current.get()
    if ours is not None or "opentelemetry.trace" not in sys.modules:
        return ours
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return _from_library(context) if context.is_valid else None


def carried() -> dict[str, str]:
    """Return the headers that carry the present trace on; none outside of one."""
    trace = current()
    return {} if trace is None else trace.headers()


@contextmanager
def following(trace: Trace | None) -> Iterator[None]:
    """Be in a trace while the block runs."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def enter(trace: Trace | None) -> Callable[[], None]:
    """Be in a trace from here on, in this task, until what is returned is called."""
    token = _current.set(trace)
    return lambda: _current.reset(token)


class Tracer:
    """Makes the spans of one party and sends them where the deployment collects them."""

    def __init__(self, url: str, *, service: str) -> None:
        """Send spans to `url` by OTLP over HTTP.

        Raises: Misconfigured without the library, or for what is no URL.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise Misconfigured("DID_AGENT_TRACES_URL must be an http(s) URL")
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise Misconfigured("traces need a library: pip install 'did-agent[tracing]'") from error
        # Nothing but the name: the library would add the command line, where others may have put secrets.
        self._provider: TracerProvider = TracerProvider(
            resource=Resource({"service.name": service}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
        self._tracer = self._provider.get_tracer("did_agent")

    def begin(self, name: str, parent: Trace | None, *, kind: Kind, start: int | None = None) -> Any:
        """Return a span that was begun; whoever began it ends it."""
        from opentelemetry import trace

        kinds = {"server": trace.SpanKind.SERVER, "internal": trace.SpanKind.INTERNAL}
        return self._tracer.start_span(name, context=_context(parent), kind=kinds[kind], start_time=start)

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        self._provider.shutdown()


def trace_of(span: Any) -> Trace:
    """Return the trace as it is below a span of the library."""
    return _from_library(span.get_span_context())


def mark(span: Any, attributes: Mapping[str, str | int], *, failed: str | None = None) -> None:
    """Say of a span what it was, and the code of the failure it ended with."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(dict(attributes))
    if failed is not None:
        span.set_status(Status(StatusCode.ERROR, failed))


def _from_library(context: Any) -> Trace:
    return Trace(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        flags=int(context.trace_flags) & 1,
        state=context.trace_state.to_header(),
    )


def _context(parent: Trace | None) -> Any:
    from opentelemetry import trace
    from opentelemetry.context import Context

    if parent is None:
        return Context()  # nothing of what the process around us may be in
    given = trace.SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(parent.flags),
        trace_state=trace.TraceState.from_header([parent.state]),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(given), Context())
