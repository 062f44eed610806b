"""Whether a tool failed, read from the answer that passes: limits may give back what a failed call cost."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from did_agent.errors import DidAgentError
from verifier.mcp.asgi import Message, media_type
from verifier.mcp.events import Events, data_of

MAX_WATCHED: Final = 1_048_576  # bytes of a JSON answer that is looked into; of a longer one nothing is known
_ERROR: Final = 400  # status from which on nothing was done
_log: Final = logging.getLogger("did_agent.guard")

Report = Callable[[bool | None], Awaitable[None]]


class Outcome:
    """A `send` that tells once how the call went: True when it failed, False when not, None when nobody can say.

    Every byte passes at once and unchanged.  The report comes before the last of the answer, so that who has it can
    count on what the report does.
    """

    def __init__(self, send: Any, *, identifier: object, report: Report) -> None:
        self._send, self._identifier, self._report = send, identifier, report
        self._body: bytearray | None = None
        self._events: Events | None = None
        self._is_told = False

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message."""
        if not self._is_told:
            if message["type"] == "http.response.start":
                await self._begin(message)
            elif message["type"] == "http.response.body":
                await self._watch(message)
        await self._send(message)

    async def finish(self) -> None:
        """Say that nobody can say, where nothing was said: the server broke off."""
        await self._tell(None)

    async def _begin(self, message: Message) -> None:
        headers = message.get("headers", [])
        if message["status"] >= _ERROR:
            await self._tell(True)
        elif any(name.lower() == b"content-encoding" for name, _ in headers):
            await self._tell(None)
        elif media_type(headers) == "text/event-stream":
            self._events = Events()
        else:
            self._body = bytearray()

    async def _watch(self, message: Message) -> None:
        piece, more = message.get("body", b""), message.get("more_body", False)
        if self._events is not None:
            for event, is_whole in self._events.feed(piece):
                found = outcome_of(data_of(event), self._identifier) if is_whole else None
                if found is not None:
                    await self._tell(found)
        elif self._body is not None:
            self._body += piece
            if len(self._body) > MAX_WATCHED:
                await self._tell(None)
            elif not more:
                await self._tell(outcome_of(bytes(self._body), self._identifier))
        if not more:
            await self._tell(None)

    async def _tell(self, is_error: bool | None) -> None:  # the outcome itself
        if self._is_told:
            return
        self._is_told, self._body = True, None
        try:
            await self._report(is_error)
        except DidAgentError as error:
            _log.warning("the outcome of a call could not be taken into account: %s", error.code)


def outcome_of(raw: bytes, identifier: object) -> bool | None:
    """Return whether an answer to the request `identifier` is an error; None when it is no answer to it."""
    if b'"result"' not in raw and b'"error"' not in raw:
        return None
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" in message or message.get("id") != identifier:
        return None
    result = message.get("result")
    if isinstance(result, dict):
        return result.get("isError") is True
    return True if "error" in message else None
