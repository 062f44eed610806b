"""No list of tools by another way: where tools are pinned, every answer is looked at, whatever was asked for.

Clients match answers by their id alone.  A server could open the answer to `tools/list` and give the list itself on a
stream that is resumed, or beside the result of a call: unpinned text would reach the model after all (LLM-06).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any, Final

from did_agent.errors import TooLarge
from verifier.mcp.asgi import Message, media_type, readable
from verifier.mcp.events import Events, data_of, with_data
from verifier.mcp.listing import IsVisible, filter_listing, is_listing

MAX_SCREENED: Final = 1_048_576  # bytes of a JSON answer, or of an event, that are kept back to be looked into
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
# The member that lists tools; no honest writer spells a letter as an escape, so who does is hiding something.
_SUSPICIOUS: Final = re.compile(rb'"tools"|\\u00(?:[46][1-9a-fA-F]|[57][0-9aA])')
_LONGEST: Final = 8  # bytes of what is looked for, rounded up
_CHANGE: Final = b"list_changed"  # of the notification that the tools are others now


class Screening:
    """A `send` that lets no unapproved tool pass, and tells when the server says that its tools changed."""

    def __init__(self, send: Any, *, is_visible: IsVisible, changed: Callable[[], None]) -> None:
        self._send, self._is_visible, self._changed = send, is_visible, changed
        self._start: Message | None = None  # of a JSON answer, kept back with its body
        self._body: bytearray | None = None
        self._events: Events | None = None
        self._is_first = True
        self._tail = b""  # of what passed unlooked

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message.

        Raises: TooLarge for what is too long to be looked into, and suspicious; PeerUnavailable for what is encoded.
        """
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._events is not None:
            await self._stream(self._events, message)
        elif self._body is not None:
            await self._collect(self._body, message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = message.get("headers", [])
        kind = media_type(headers)
        if kind == _JSON:
            self._start, self._body = {**message, "headers": readable(headers)}, bytearray()
            return
        if kind == _EVENTS:
            self._events = Events()
            kept = [pair for pair in readable(headers) if pair[0].lower() != b"content-length"]
            message = {**message, "headers": kept}
        await self._send(message)

    async def _collect(self, body: bytearray, message: Message) -> None:
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(body) <= MAX_SCREENED:
            return
        whole = self._start is not None and not more and len(body) <= MAX_SCREENED
        passing = self._screened(bytes(body)) if whole else self._unlooked(bytes(body))
        body.clear()
        if self._start is not None:
            headers = self._start.get("headers", [])
            if whole:
                headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
                headers.append((b"content-length", str(len(passing)).encode()))
            start, self._start = {**self._start, "headers": headers}, None
            await self._send(start)
        await self._send({**message, "body": passing})

    async def _stream(self, events: Events, message: Message) -> None:
        more = message.get("more_body", False)
        passing = b"".join(self._of_event(*found) for found in events.feed(message.get("body", b"")))
        if not more:
            passing += self._unlooked(events.rest())
        if passing or not more:
            await self._send({**message, "body": passing})

    def _of_event(self, event: bytes, is_whole: bool) -> bytes:
        if self._is_first:
            event, self._is_first = event.removeprefix(codecs.BOM_UTF8), False
        if not is_whole:
            return self._unlooked(event)
        self._tail = b""
        data = data_of(event)
        screened = self._screened(data)
        return event if screened is data else with_data(event, screened)

    def _screened(self, data: bytes) -> bytes:
        if _CHANGE in data:
            self._changed()
        if not _SUSPICIOUS.search(data):
            return data
        try:
            if not is_listing(json.loads(data, object_pairs_hook=_unique)):
                return data
        except (ValueError, RecursionError):
            pass  # a member twice, or no JSON: the filter reads strictly, and lets nothing through that is unclear
        return filter_listing(data, media_type=_JSON, is_visible=self._is_visible)

    def _unlooked(self, piece: bytes) -> bytes:
        """Return what is too long to be read, as long as nothing in it can be a list of tools.

        Raises: TooLarge.
        """
        if _SUSPICIOUS.search(self._tail + piece):
            raise TooLarge("an answer too long to be looked into, which may list tools")
        self._tail = piece[-_LONGEST:]
        return piece


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members
