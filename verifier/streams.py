"""Open answers and who they are for: a stream of somebody who was revoked is cut (REV-01)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from verifier.model import Admission


class StreamCut(Exception):
    """What admitted the caller ended while the answer was under way."""


@dataclass(slots=True)
class CutSend:
    """A `send` that knows how far an answer has come, so that it can be ended in order."""

    send: Any
    started: bool = False
    ended: bool = False

    async def __call__(self, message: Any) -> None:
        """Pass one ASGI message on."""
        if message["type"] == "http.response.start":
            self.started = True
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.ended = True
        await self.send(message)

    async def end(self) -> None:
        """End an answer that was begun."""
        if self.started and not self.ended:
            self.ended = True
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


class OpenStreams:
    """Answers under way, by everything whose revocation ends them."""

    def __init__(self) -> None:
        self._open: defaultdict[str, set[asyncio.Timeout]] = defaultdict(set)

    @asynccontextmanager
    async def open(self, admission: Admission, *, until: datetime | None, now: datetime) -> AsyncIterator[None]:
        """Run the block until it ends, its caller is revoked, or `until` has come.

        Raises: StreamCut.
        """
        seconds = None if until is None else max((until - now).total_seconds(), 0.0)
        limit = asyncio.timeout(seconds)
        for name in admission.revocable_ids:
            self._open[name].add(limit)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if limit.expired():
                raise StreamCut from error
            raise
        finally:
            for name in admission.revocable_ids:
                self._leave(name, limit)

    def cut(self, ended: str) -> None:
        """Cut every stream that what was `ended` stands behind."""
        for limit in tuple(self._open.get(ended, ())):
            if limit.when() is None or not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    def __len__(self) -> int:
        """Return how many answers are under way."""
        return len({limit for limits in self._open.values() for limit in limits})

    def _leave(self, name: str, limit: asyncio.Timeout) -> None:
        limits = self._open[name]
        limits.discard(limit)
        if not limits:
            del self._open[name]
