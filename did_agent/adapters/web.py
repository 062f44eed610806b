"""The edge every party shares: a bounded body, a request id, safe headers, and one map from error to status.

Pure ASGI, outermost; routes see a request whose size is already known to be within bounds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from did_agent.adapters.metrics import PATH as METRICS_PATH
from did_agent.adapters.observing import Observer, metrics_headers, name_route, watching
from did_agent.encoding.strict_json import MAX_BODY
from did_agent.errors import (
    Denied,
    DidAgentError,
    Malformed,
    NotFound,
    QuotaExceeded,
    StateConflict,
    TooLarge,
    Unavailable,
    VerificationError,
    WrongContentType,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

MAX_HEADERS: Final = 16_384  # bytes of all header fields together
BODY_TIMEOUT: Final = 15.0  # s for a whole body; a slow sender must not hold a worker (LIM-02)
RETRY_AFTER: Final = "2"  # s, with every 503

# The first class that fits wins, so leaves stand before their families.
STATUS: Final[Mapping[type[DidAgentError], int]] = {
    TooLarge: 413,
    WrongContentType: 415,
    Malformed: 400,
    VerificationError: 401,
    NotFound: 404,
    StateConflict: 409,
    QuotaExceeded: 429,
    Denied: 403,
    Unavailable: 503,
    DidAgentError: 500,
}
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_log: Final = logging.getLogger("did_agent.web")


def status_of(error: DidAgentError) -> int:
    """Return the HTTP status of an error."""
    return next(status for family, status in STATUS.items() if isinstance(error, family))


def problem(error: DidAgentError, *, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an error as RFC 9457 problem details, with its public sentence."""
    status = status_of(error)
    return _problem(status, error.code, error.public, request_id, reveal=_hint(error))


def _hint(error: DidAgentError) -> str:
    # What was wrong with a request its sender may know; what was wrong with a proof only the operator (VCX, OPS-03).
    return error.detail if isinstance(error, Malformed | StateConflict | NotFound) else ""


def _problem(
    status: int, code: str, title: str, request_id: str, *, reveal: str = ""
) -> tuple[int, dict[str, str], bytes]:
    members = {"type": "about:blank", "title": title, "status": status, "code": code, "request_id": request_id}
    if reveal:
        members["detail"] = reveal[:300]
    headers = {"Content-Type": "application/problem+json"}
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER
    return status, headers, json.dumps(members).encode()


def harden(
    app: Any,
    *,
    allowed_hosts: frozenset[str] | None = None,
    max_body: int = MAX_BODY,
    larger: Mapping[str, int] | None = None,
    observer: Observer | None = None,
    stopping: Callable[[], None] | None = None,
) -> Any:
    """Return the app behind the edge; `larger` says which paths take larger bodies, and how large.

    `stopping` is called when its server is about to stop, before what others still ask of it has ended.
    """
    edge = _Edge(app, allowed_hosts, max_body, larger or {}, observer)
    edge.stopping = stopping
    return edge


class _Edge:
    def __init__(
        self,
        app: Any,
        allowed_hosts: frozenset[str] | None,
        max_body: int,
        larger: Mapping[str, int],
        observer: Observer | None,
    ) -> None:
        self._app, self._hosts, self._max_body, self._larger = app, allowed_hosts, max_body, larger
        self.stopping: Callable[[], None] | None = None
        self.observer = observer  # of the party, for a listener that shows its counts

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        if self.observer is None:
            await self._handle(scope, receive, send, request_id)
            return
        with self.observer.request(scope, request_id) as seen:
            await self._handle(scope, receive, watching(send, seen), request_id)

    async def _live(self, scope: Scope, receive: Any, send: Any) -> None:
        if self.observer is None:
            await self._app(scope, receive, send)
            return
        async with self.observer.working():  # for what the app starts beside its requests
            await self._app(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Any, send: Any, request_id: str) -> None:
        answer = _Answer(send, request_id)
        refusal = self._refuse(scope, request_id)
        if refusal is not None:
            await answer.whole(*refusal)
            return
        if self.observer is not None and self.observer.shows_metrics and _is_metrics(scope):
            await _show(self.observer, scope, answer)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await _read(receive, self._most(scope))
        except TooLarge as error:
            await answer.whole(*problem(error, request_id=request_id))
            return
        except TimeoutError:
            await answer.whole(*_problem(408, "request_timeout", "The body came too slowly.", request_id))
            return
        if body is None:
            return  # the sender left; half a request is not a request
        try:
            await self._app(scope, _replay(body, receive), answer)
        except DidAgentError as error:
            await answer.whole(*problem(error, request_id=request_id))
        except Exception:  # noqa: BLE001  # the outermost handler: what nobody expected must not show its inside (OPS-03)
            _log.exception("request %s failed", request_id)
            await answer.whole(*_problem(500, "internal_error", "An internal error occurred.", request_id))

    def _most(self, scope: Scope) -> int:
        return self._larger.get(scope["path"], self._max_body)

    def _refuse(self, scope: Scope, request_id: str) -> tuple[int, dict[str, str], bytes] | None:
        headers = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
            return _problem(431, "limit_exceeded", "The header section is too large.", request_id)
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        # URLs never come from Host; a foreign one is a rebinding attempt or a mistake (WEB-09).
        if len(hosts) != 1 or (self._hosts is not None and hosts[0] not in self._hosts):
            return _problem(421, "wrong_host", "This host is not served here.", request_id)
        lengths = [value for name, value in headers if name == b"content-length"]
        if any(not _is_at_most(value, self._most(scope)) for value in lengths):
            return _problem(413, "limit_exceeded", "The body is too large.", request_id)
        return None


class _Answer:
    """Adds the headers every answer carries, and can still answer whole if nothing was sent yet."""

    def __init__(self, send: Any, request_id: str) -> None:
        self._send, self._request_id, self._started = send, request_id, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            present = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(name, value) for name, value in _HEADERS if name not in present]
            extra.append((b"x-request-id", self._request_id.encode()))
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if self._started:
            return  # too late to say anything else; the server closes the connection
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        pairs.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": status, "headers": pairs})
        await self({"type": "http.response.body", "body": body})


def _is_metrics(scope: Scope) -> bool:
    return scope["path"] == METRICS_PATH and scope["method"] in ("GET", "HEAD")


async def _show(observer: Observer, scope: Scope, answer: _Answer) -> None:
    name_route(scope, METRICS_PATH)
    body = await observer.metrics()
    await answer({"type": "http.response.start", "status": 200, "headers": metrics_headers(body)})
    await answer({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return str(uuid.uuid4())


def _is_at_most(digits: bytes, limit: int) -> bool:
    # Counted before converted: Python refuses to convert thousands of digits, and not as a refusal of ours.
    return digits.isdigit() and len(digits) <= len(str(limit)) and int(digits) <= limit


async def _read(receive: Any, max_body: int) -> bytes | None:
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        received += message.get("body", b"")
        if len(received) > max_body:
            raise TooLarge(f"a body of more than {max_body} bytes")
        if not message.get("more_body", False):
            return bytes(received)


def _replay(body: bytes, receive: Any) -> Any:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return waiting.pop() if waiting else await receive()

    return replayed
