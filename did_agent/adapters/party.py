"""Runs parties: one uvicorn server per listener, several in one loop, all stopped together; in the clear or by TLS."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from did_agent.adapters.peer_certificate import EXTENSION
from did_agent.errors import Misconfigured

if TYPE_CHECKING:
    from did_agent.adapters.tls import ServerTLS

SENDING_TIMEOUT: Final = 10.0  # s for a whole header section, and for the rest of a body nobody reads any more
KEEP_ALIVE: Final = 30  # s an idle connection is kept
GRACE: Final = 3  # s open requests get at shutdown
MAX_CONNECTIONS: Final = 1_000
SPARE: Final = 256  # descriptors beside those of connections: files, and connections to others
_READY_STEP: Final = 0.01  # s between looks at a starting server


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises: Misconfigured naming the port when it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only on sockets that name their protocol; with it every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Misconfigured(f"port {port} on {host} is not free: {error.strerror}") from error
    return listener


def server(
    app: Any, tls: ServerTLS | None = None, *, is_second: bool = False, most: int = MAX_CONNECTIONS
) -> uvicorn.Server:
    """Return a server for one party: h11 (which refuses what httptools lets through), bounded, silent about itself.

    With `is_second` another server of the same app opens and closes it.
    Raises: Misconfigured.
    """
    context = None if tls is None else tls.context()
    config = uvicorn.Config(
        app,
        http=_impatient(),
        ws="none",
        lifespan="off" if is_second else "on",
        ssl_context_factory=None if context is None else lambda _config, _default: context,
        log_config=None,  # its lines go where all lines go (OPS-01)
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=most,
        h11_max_incomplete_event_size=65_536,
    )
    quiet = uvicorn.Server(config)
    # Signals belong to whoever runs the loop, not to each of several servers in it.
    quiet.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # documented way to embed
    return quiet


class _Impatient(H11Protocol):
    """uvicorn's h11 with the limits it lacks: half a header must not hold its connection for ever (LIM-02).

    Where all are taken, a new connection takes the place of the one that waited longest without a request (LIM-03).
    """

    waiting: ClassVar[dict[_Impatient, None]]  # of one server, the longest first
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        ours = getattr(transport.get_extra_info("ssl_object"), "certificates", None)
        if ours is not None:  # a listener that asks for certificates
            self.app = _with_certificates(self.app, ours())
        self._take_a_place()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._queue()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.waiting.pop(self, None)
        super().connection_lost(exc)

    def _take_a_place(self) -> None:
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            longest = next(iter(self.waiting), None)
            if longest is not None:
                del self.waiting[longest]
                self.connections.discard(longest)  # what is counted; the loop lets go of it a moment later
                longest.transport.abort()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _queue(self) -> None:
        if self._is_answering() or self.transport.is_closing():
            self.waiting.pop(self, None)
        else:
            self.waiting.setdefault(self)

    def _watch(self) -> None:
        self._queue()
        if self._is_answering() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._forget()
        elif self._deadline is None:  # counted from the first byte, not anew with each
            self._deadline = self.loop.call_later(SENDING_TIMEOUT, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _impatient() -> type[asyncio.Protocol]:
    class OfOneServer(_Impatient):
        waiting: ClassVar[dict[_Impatient, None]] = {}

    return OfOneServer


def _with_certificates(app: Any, certificates: tuple[bytes, ...]) -> Any:
    async def named(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: certificates}
        await app(scope, receive, send)

    return named


# An app and where it listens; with the third it speaks TLS there.  One app may listen in several places.
Place = tuple[Any, socket.socket] | tuple[Any, socket.socket, "ServerTLS | None"]


@asynccontextmanager
async def serving(apps: Sequence[Place], *, most: int = MAX_CONNECTIONS, last: int = 0) -> AsyncIterator[None]:
    """Serve apps on listening sockets while the block runs, each to `most` connections; leave nothing running.

    The first `last` of them stop after the others: what those still record is taken in.
    Raises: Misconfigured when one of them does not start.
    """
    listeners = [place[1] for place in apps]
    most = min(most, _descriptors(most * len(apps) + SPARE) // max(1, len(apps)))
    servers = [
        server(place[0], *place[2:], is_second=any(place[0] is earlier[0] for earlier in apps[:number]), most=most)
        for number, place in enumerate(apps)
    ]
    tasks = [
        asyncio.create_task(_serve(running, listener)) for running, listener in zip(servers, listeners, strict=True)
    ]
    try:
        await _until_started(servers, tasks)
        yield
    finally:
        for place in apps[:last]:  # what they ask of the others would keep those from stopping
            if (stopping := getattr(place[0], "stopping", None)) is not None:
                stopping()
        await _stop(servers[last:], tasks[last:])
        await _stop(servers[:last], tasks[:last])
        for listener in listeners:
            listener.close()


async def _stop(servers: Sequence[uvicorn.Server], tasks: Sequence[asyncio.Task[None]]) -> None:
    for running in servers:
        running.should_exit = True
    await asyncio.gather(*tasks, return_exceptions=True)


def _descriptors(wanted: int) -> int:
    """Ask the system for so many descriptors beside the spare ones, and return how many of them there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # a system may have a bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
            soft = granted
    return wanted - SPARE if soft == resource.RLIM_INFINITY else max(1, soft - SPARE)


async def _serve(running: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await running.serve(sockets=[listener])
    except SystemExit as stop:
        # uvicorn leaves the process when an app does not start; it would tear the loop from under the other parties.
        raise Misconfigured("its start failed") from stop


async def _until_started(servers: Sequence[uvicorn.Server], tasks: Sequence[asyncio.Task[None]]) -> None:
    while not all(running.started for running in servers):
        for task in tasks:
            if task.done():
                failure = task.exception()
                raise Misconfigured(f"a party did not start: {failure or 'see the log above'}") from failure
        await asyncio.sleep(_READY_STEP)


def hosts_of(*urls: str) -> Mapping[str, str]:
    """Return the `Host` value each configured URL is reached under."""
    return {url: url.split("://", 1)[1].split("/", 1)[0].lower() for url in urls}
