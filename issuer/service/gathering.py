"""What is asked for at the same moment is done together: one transaction for many, and each has its own answer.

Nobody waits for company: who comes while there is room begins at once, and who comes meanwhile goes next, together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from did_agent.errors import DidAgentError, Unavailable

TOGETHER: Final = 64  # at most in one transaction
LANES: Final = 2  # transactions of one organisation at a time: while one becomes durable the next is judged

Asked = TypeVar("Asked")
Done = TypeVar("Done")
_Waiting = tuple[Asked, "asyncio.Future[Done]"]
Doing = Callable[[Sequence[Asked]], Awaitable[Sequence[Done | DidAgentError]]]


@dataclass(slots=True)
class _Line(Generic[Asked, Done]):
    """Who waits, and how many transactions are under way."""

    waiting: deque[_Waiting[Asked, Done]] = field(default_factory=deque)
    running: int = 0


@dataclass(slots=True)
class Gathering(Generic[Asked, Done]):
    """Joins what is asked for one organisation."""

    _lines: dict[str, _Line[Asked, Done]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)  # the loop itself keeps none alive

    async def ask(self, organisation: str, asked: Asked, do: Doing[Asked, Done]) -> Done:
        """Return what came of it, which is durable then.

        `do` answers each in order: with what was done, or why it was not.  Raises: what `do` answered or raised.
        """
        line = self._lines.setdefault(organisation, _Line())
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        line.waiting.append((asked, answer))
        if line.running < LANES:
            line.running += 1
            task = asyncio.create_task(self._serve(organisation, line, do))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _serve(self, organisation: str, line: _Line[Asked, Done], do: Doing[Asked, Done]) -> None:
        try:
            while line.waiting:
                await _together([line.waiting.popleft() for _ in range(min(TOGETHER, len(line.waiting)))], do)
        finally:
            line.running -= 1
            if not line.running:
                self._lines.pop(organisation, None)


async def _together(batch: Sequence[_Waiting[Asked, Done]], do: Doing[Asked, Done]) -> None:
    try:
        found = await do([asked for asked, _ in batch])
    except Exception as error:  # noqa: BLE001  # whatever it is, it is theirs who asked
        if len(batch) > 1 and not isinstance(error, Unavailable):
            for one in batch:  # nothing of it was done: what one of them brought about is not the others' to bear
                await _together([one], do)
            return
        for _, answer in batch:
            _give(answer, error)
        return
    except BaseException:
        for _, answer in batch:
            answer.cancel()
        raise
    for (_, answer), came in zip(batch, found, strict=True):
        _give(answer, came)


def _give(answer: asyncio.Future[Done], found: Done | Exception) -> None:
    if answer.done():
        return  # who asked has gone
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
