"""Apps served over real HTTP on loopback from a thread of their own, for tests that are clients and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from did_agent.adapters.party import listen, serving


class Listener:
    """A port that is ours before the app that will answer on it exists."""

    def __init__(self) -> None:
        self.socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@contextmanager
def served(apps: Sequence[tuple[Any, Listener]]) -> Iterator[None]:
    """Serve while the block runs."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop, failure = asyncio.Event(), list[BaseException]()

    async def run() -> None:
        try:
            async with serving([(app, listener.socket) for app, listener in apps]):
                started.set()
                await stop.wait()
        except BaseException as error:
            failure.append(error)
            raise
        finally:
            started.set()

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    try:
        assert started.wait(20)
        assert not failure, failure
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
