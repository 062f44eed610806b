"""Async clients for programs without an event loop: the same methods, typed, each waiting for its answer."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Loop:
    """An event loop on a thread of its own; it ends with the program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine, from any thread but the loop's own."""
        return self.begin(work).result()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine and go on; cancelling what is returned ends it."""
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="did-agent client", daemon=True).start()
            return self._loop


LOOP = Loop()


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """Return the blocking form of a method; the object it becomes part of has the async client as `client`."""

    def waiting(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return LOOP.run(method(self.client, *args, **kwargs))

    return functools.update_wrapper(waiting, method)


def iterating(
    method: Callable[Concatenate[Any, P], AsyncIterator[T]],
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """Return the blocking form of a method that yields; a page is asked for when it is needed."""

    def waiting(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        found = aiter(method(self.client, *args, **kwargs))
        while (one := LOOP.run(_next(found))) is not None:
            yield one[0]

    return functools.update_wrapper(waiting, method)


async def _next(found: AsyncIterator[T]) -> tuple[T] | None:
    try:
        return (await anext(found),)
    except StopAsyncIteration:
        return None
