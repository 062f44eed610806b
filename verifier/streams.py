"""Open answers and who they are for: a stream of somebody who was revoked is cut (REV-01)."""

from __future__ import annotations

import asyncio
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
    """Answers under way, and who they are for."""

    def __init__(self) -> None:
        self._open: set[_Stream] = set()

    def open(self, admission: Admission, *, until: datetime | None, now: datetime) -> _Stream:
        """Return a context that runs its block until it ends, its caller is revoked, or `until` has come.

        Leaving it raises StreamCut when it was cut.
        """
        return _Stream(self._open, admission, None if until is None else max((until - now).total_seconds(), 0.0))

    def cut(self, ended: str) -> None:
        """Cut every stream that what was `ended` stands behind."""
        for stream in [one for one in self._open if ended in one.admission.revocable_ids]:
            stream.cut()

    def __len__(self) -> int:
        """Return how many answers are under way."""
        return len(self._open)


class _Stream:
    """One answer: cheap to open, since nearly all of them end by themselves at once."""

    __slots__ = ("_alarm", "_is_cut", "_open", "_seconds", "_task", "admission")

    def __init__(self, among: set[_Stream], admission: Admission, seconds: float | None) -> None:
        self.admission = admission
        self._open, self._seconds, self._is_cut = among, seconds, False
        self._task: asyncio.Task[Any] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def cut(self) -> None:
        """End the block from outside, once."""
        if self._task is not None and not self._is_cut:
            self._is_cut = True
            self._task.cancel()

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._open.add(self)
        if self._seconds is not None:
            self._alarm = asyncio.get_running_loop().call_later(self._seconds, self.cut)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._open.discard(self)
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._is_cut or self._task is None:
            return
        # Somebody else may have cancelled the task too; that must not be lost (asyncio.Task.uncancel).
        if self._task.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise StreamCut from error
