"""Answers with a receipt: the guard signs for the result that passes, and puts that into its `_meta`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from did_agent.errors import DidAgentError
from did_agent.tokens.tool_receipt import MEMBER, OMITTED
from verifier.mcp.asgi import Message, media_type
from verifier.mcp.events import Events, data_of, with_data
from verifier.mcp.operation import RECEIPT_HEADER
from verifier.mcp.splicing import locate, with_meta

MAX_RECEIPTED: Final = 1_048_576  # bytes of an answer that a receipt is written for
HEADER: Final = RECEIPT_HEADER.encode()  # of an answer: says why there is none
TOO_LARGE: Final = "too_large"
NO_RESULT: Final = "no_result"

Write = Callable[[Mapping[str, Any]], str]


class Receipting:
    """A `send` that puts a receipt into the one result that answers a request.

    JSON is kept back until it is whole; of an event stream only the event that comes in at the moment.  What cannot be
    read, or is too long, passes as it is, and says so in a header, or in a comment of the stream.
    """

    def __init__(self, send: Any, *, identifier: object, write: Write) -> None:
        self._send, self._identifier, self._write = send, identifier, write
        self._start: Message | None = None  # kept back
        self._body: bytearray | None = None  # of a JSON answer, as far as it came
        self._events: Events | None = None

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._body is not None:
            await self._collect(self._body, message)
        elif self._events is not None:
            await self._stream(self._events, message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = [pair for pair in message.get("headers", []) if pair[0].lower() != HEADER]
        kind = media_type(headers)
        is_encoded = any(name.lower() == b"content-encoding" for name, _ in headers)
        if kind == "application/json" and not is_encoded:
            self._start, self._body = {**message, "headers": headers}, bytearray()
            return
        if kind == "text/event-stream" and not is_encoded:
            self._events = Events()
            headers = _without_length(headers)
        await self._send({**message, "headers": headers})

    async def _collect(self, body: bytearray, message: Message) -> None:
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_RECEIPTED:
            await self._release(bytes(body), TOO_LARGE, more=more)
        elif not more:
            found = self._receipted(bytes(body))
            await self._release(*((bytes(body), NO_RESULT) if found is None else (found, None)), more=False)

    async def _release(self, body: bytes, omitted: str | None, *, more: bool) -> None:
        start, self._start, self._body = self._start, None, None
        headers = [] if start is None else list(start["headers"])
        if omitted is None:
            headers = [*_without_length(headers), (b"content-length", str(len(body)).encode())]
        else:
            headers.append((HEADER, f"omitted; reason={omitted}".encode()))
        await self._send({**(start or {}), "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _stream(self, events: Events, message: Message) -> None:
        more = message.get("more_body", False)
        passing = b"".join(self._of_event(*found) for found in events.feed(message.get("body", b"")))
        if not more or self._events is None:
            passing += events.rest()
        if passing or not more:
            await self._send({**message, "body": passing, "more_body": more})

    def _of_event(self, event: bytes, is_whole: bool) -> bytes:
        if self._events is None or (is_whole and b'"result"' not in event):
            return event
        if not is_whole:
            # Whether it was the answer nobody can tell; a comment between events is no part of any.
            return event + (f": receipt omitted; reason={TOO_LARGE}\n\n".encode() if event.endswith(_ENDS) else b"")
        changed = self._receipted(data_of(event))
        if changed is None:
            return event
        self._events = None  # one answer each request; the rest passes untouched
        return with_data(event, changed)

    def _receipted(self, raw: bytes) -> bytes | None:
        found = locate(raw, self._identifier)
        if found is None:
            return None
        try:
            return with_meta(found, MEMBER, self._write(found.result), without=(MEMBER, OMITTED))
        except DidAgentError as error:
            return with_meta(found, OMITTED, error.code, without=(MEMBER, OMITTED))


_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")


def _without_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0].lower() != b"content-length"]
