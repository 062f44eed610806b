"""A bridge with its issuer in a thread of its own, for tests that drive a real Chromium in the main one."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from playwright.sync_api import Browser, sync_playwright

from did_agent.clock import system_clock
from tests.fakes.bridge_world import Clock, World, cheap_passwords, world

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 30

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("Chromium is not installed; the browser tests need it")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install your system's package")

Result = TypeVar("Result")


@dataclass
class Hosted:
    """A running bridge; `run` does something at it and waits."""

    world: World
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)


@contextmanager
def hosted(data: Path, prepare: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> Iterator[Hosted]:
    """Run a bridge under `localhost`, by the real clock, while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        cheap_passwords(patch)
        open_world = world(data, host="localhost", clock=cast("Clock", system_clock), **settings)
        running = asyncio.run_coroutine_threadsafe(open_world.__aenter__(), loop).result(SECONDS)
        place = Hosted(running, loop)
        try:
            place.run(prepare(running))
            yield place
        finally:
            asyncio.run_coroutine_threadsafe(open_world.__aexit__(None, None, None), loop).result(SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(SECONDS)
            loop.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium while the block runs."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
