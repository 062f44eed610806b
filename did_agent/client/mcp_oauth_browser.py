"""A person's answer comes back to this machine: a loopback listener for one authorization response (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import Callable
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from did_agent.errors import ConsentDenied, PeerUnavailable

PATH: Final = "/callback"
MAX_HEAD: Final = 16_384  # bytes of the browser's request
PATIENCE: Final = 300.0  # s for a person to sign in and decide
_PAGE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
    b"Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
    b'<!doctype html><html lang="en"><title>Done</title><h1>Done</h1><p>You can close this page.</p></html>'
)
_ELSEWHERE: Final = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LoopbackRedirect:
    """Listens on 127.0.0.1 while the block runs; opens pages with `open_page` and waits for their answers."""

    def __init__(
        self, *, open_page: Callable[[str], object] = webbrowser.open, port: int = 0, patience: float = PATIENCE
    ) -> None:
        self._open_page, self._port, self._patience = open_page, port, patience
        self._answers: asyncio.Queue[dict[str, str]] = asyncio.Queue(maxsize=1)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._receive, "127.0.0.1", self._port, limit=MAX_HEAD)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @property
    def uri(self) -> str:
        """The redirect URI; its port is chosen when listening begins."""
        return f"http://127.0.0.1:{self._port}{PATH}"

    async def open(self, url: str) -> None:
        """Show the person a page of the authorization server; answers to earlier pages are forgotten."""
        while not self._answers.empty():
            self._answers.get_nowait()
        await asyncio.to_thread(self._open_page, url)

    async def answer(self) -> dict[str, str]:
        """Return the parameters of the authorization response.

        Raises: ConsentDenied when it brings no code, PeerUnavailable when none comes.
        """
        try:
            async with asyncio.timeout(self._patience):
                found = await self._answers.get()
        except TimeoutError as error:
            raise PeerUnavailable("nobody answered the authorization page") from error
        if "code" not in found:
            # The words of the error may be a stranger's (RFC 9207, 2.4): they are not shown.
            raise ConsentDenied("the authorization server sent no code")
        return found

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
            found = _parameters(head)
            writer.write(_ELSEWHERE if found is None else _PAGE)
            if found is not None and not self._answers.full():
                self._answers.put_nowait(found)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # not a browser that followed our link
        finally:
            writer.close()


def _parameters(head: bytes) -> dict[str, str] | None:
    """Return the query of a GET of our path in which nothing is said twice, or None."""
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    if method != "GET" or target.path != PATH:
        return None
    try:
        values = parse_qs(target.query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        return None
    return {name: value[0] for name, value in values.items() if len(value) == 1}
