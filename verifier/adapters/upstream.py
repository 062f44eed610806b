"""One HTTP/1.1 server behind us, over kept connections: requests go out whole, answers come back as they arrive.

The state machine is h11's.  A connection is used again only when its last answer ended in order and nothing came since.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

from did_agent.errors import Misconfigured, PeerUnavailable

CONNECT: Final = 5.0  # s
MAX_IDLE: Final = 64  # connections kept while nobody needs them
MAX_HEAD: Final = 65_536  # bytes of an answer's header section
_PIECE: Final = 65_536  # bytes read at once

HeaderList = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Reply:
    """An answer whose head has come; its body is read once, as it arrives."""

    status: int
    headers: HeaderList
    _connection: _Connection

    async def body(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece.

        Raises: PeerUnavailable when it breaks off.
        """
        while (piece := await self._connection.next_piece()) is not None:
            yield piece


class Upstream:
    """The server behind; `url` names scheme, host and port."""

    def __init__(self, url: str, *, patience: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None or parts.username is not None:
            raise Misconfigured(f"{url} is no http or https URL of a server")
        self._host, self._patience = parts.hostname, patience
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[_Connection] = deque()
        self.host = parts.netloc.encode("ascii")

    @asynccontextmanager
    async def request(self, method: str, target: bytes, headers: HeaderList, body: bytes) -> AsyncIterator[Reply]:
        """Send a request and give its answer; leaving the block early closes the connection.

        Raises: PeerUnavailable when there is no server, or no answer in time.
        """
        connection, is_kept = await self._connection(), False
        try:
            yield await connection.ask(method, target, headers, body, patience=self._patience)
            is_kept = connection.is_reusable() and len(self._idle) < MAX_IDLE
        finally:
            if is_kept:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the connections nobody uses."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_alive():
                return kept
            kept.close()
        try:
            async with asyncio.timeout(CONNECT):
                return await self._open()
        except (OSError, TimeoutError) as error:
            raise PeerUnavailable(f"the server behind cannot be reached: {type(error).__name__}") from error

    async def _open(self) -> _Connection:
        loop = asyncio.get_running_loop()
        reader = _CountingReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, self._host, self._port, ssl=self._tls)
        return _Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class _CountingReader(asyncio.StreamReader):
    """Knows how much has come in that nobody has read."""

    unread = 0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.unread -= len(data)
        return data


class _Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: _CountingReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    async def ask(self, method: str, target: bytes, headers: HeaderList, body: bytes, *, patience: float) -> Reply:
        try:
            request = h11.Request(method=method, target=target, headers=list(headers))
            sent = self._http.send(request) or b""
            if body:
                sent += self._http.send(h11.Data(data=body)) or b""
            self._writer.write(sent + (self._http.send(h11.EndOfMessage()) or b""))
            async with asyncio.timeout(patience):
                await self._writer.drain()
                head = await self._head()
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            raise PeerUnavailable(f"the server behind gave no answer: {type(error).__name__}") from error
        return Reply(status=head.status_code, headers=list(head.headers.raw_items()), _connection=self)

    async def next_piece(self) -> bytes | None:
        """Return the next piece of the body, or None at its end."""
        try:
            while True:
                event = await self._next_event()
                if isinstance(event, h11.Data):
                    return bytes(event.data)
                if isinstance(event, h11.EndOfMessage):
                    return None
        except (OSError, h11.ProtocolError) as error:
            raise PeerUnavailable("the answer of the server behind broke off") from error

    def is_reusable(self) -> bool:
        """Tell whether another request may follow, after an answer that was read to its end."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return self.is_alive()

    def is_alive(self) -> bool:
        """Tell whether the other side has neither closed nor said anything unasked."""
        is_unasked = self._reader.unread > 0 or self._http.trailing_data[0]
        return not (self._reader.at_eof() or self._writer.is_closing() or is_unasked)

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()

    async def _head(self) -> h11.Response:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed before an answer")

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        return event
