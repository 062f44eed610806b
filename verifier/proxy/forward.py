"""Hands guarded requests on to the server behind, and its answers back as they arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from did_agent.errors import PeerUnavailable
from verifier.adapters.upstream import Upstream
from verifier.mcp.caller import current_statement
from verifier.statement import HEADER, Statements

PATIENCE: Final = 300.0  # s until the first byte of an answer: tools may think
_METHODS: Final = ("GET", "POST", "DELETE")  # of Streamable HTTP

# What belongs to one connection alone (RFC 9110, 7.6.1), what we say ourselves, and what would speak of somebody who
# only claims to stand before us.
_LEFT_OUT: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
    }
)
_CLAIMS: Final = (b"x-forwarded-", b"did-agent-")
_OF_ONE_CONNECTION: Final = _LEFT_OUT - {b"content-length"}

Headers = list[tuple[bytes, bytes]]


class Forward:
    """An ASGI app that is the server behind, at one path; to stand behind a guard and nowhere else."""

    def __init__(
        self, upstream: str, *, path: str, patience: float = PATIENCE, statements: Statements | None = None
    ) -> None:
        self._upstream = Upstream(upstream, patience=patience)
        self._statements = statements  # what the server is told of callers
        self._path, self._target = path, urlsplit(upstream).path or "/"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != self._path:
            await _say(send, 404, "not_found", "Nothing is here.")
            return
        if scope["method"] not in _METHODS:
            await _say(send, 405, "method_not_allowed", "The server takes GET, POST and DELETE.")
            return
        body = await _body(receive) if scope["method"] == "POST" else b""
        target = self._target.encode("ascii")
        if scope.get("query_string"):
            target += b"?" + scope["query_string"]
        headers = [(b"host", self._upstream.host), *_passed_on(scope["headers"])]
        told = None if self._statements is None else current_statement(self._statements.of)
        if told is not None:
            headers.append((HEADER, told.encode("ascii")))
        if scope["method"] == "POST":
            headers.append((b"content-length", str(len(body)).encode()))
        leaving = asyncio.create_task(_left(receive))
        answering = asyncio.create_task(self._answer(scope["method"], target, headers, body, send))
        try:
            # Whoever asked may go away: then the server behind need not go on either.
            await asyncio.wait((leaving, answering), return_when=asyncio.FIRST_COMPLETED)
        finally:
            both = (leaving, answering)
            for task in both:
                task.cancel()
            results = await asyncio.gather(*both, return_exceptions=True)
        failure = results[1]
        if isinstance(failure, Exception):
            raise failure

    async def _answer(self, method: str, target: bytes, headers: Headers, body: bytes, send: Any) -> None:
        started = False
        try:
            async with self._upstream.request(method, target, headers, body) as reply:
                back = [pair for pair in reply.headers if pair[0].lower() not in _OF_ONE_CONNECTION]
                await send({"type": "http.response.start", "status": reply.status, "headers": back})
                started = True
                async for piece in reply.body():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except PeerUnavailable as error:
            if started:
                return  # without an end: half an answer must not look like a whole one, so the connection is closed
            await _say(send, 502, "upstream_unavailable", "The server behind the guard did not answer.", error.detail)

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self._upstream.close()
                return


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    named = {
        one.strip().lower() for name, value in headers if name.lower() == b"connection" for one in value.split(b",")
    }
    for name, value in headers:
        lowered = name.lower()
        # Some servers take a name with "_" for the one with "-", which was judged or left out.
        is_ambiguous = b"_" in lowered or lowered.startswith(_CLAIMS)
        if lowered not in _LEFT_OUT and lowered not in named and not is_ambiguous:
            yield lowered, value


async def _body(receive: Any) -> bytes:
    # The guard has read it, and bounded it.
    message = await receive()
    return bytes(message.get("body", b"")) if message["type"] == "http.request" else b""


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _say(send: Any, status: int, code: str, title: str, detail: str = "") -> None:
    members = {"type": "about:blank", "title": title, "status": status, "code": code}
    body = json.dumps({**members, "detail": detail} if detail else members).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
