"""Risk signals, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.signals import Signal


class Signals(Protocol):
    """The last word of each source on each subject."""

    async def put_signal(self, signal: Signal) -> None: ...

    # Those that say something now.
    async def signals(self, *, now: datetime, limit: int) -> Sequence[Signal]: ...
