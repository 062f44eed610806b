"""Timing of small pieces of work: medians of wall-clock time of each, CPU time of all; the same in every process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import TypedDict


class Timed(TypedDict):
    """Microseconds for one piece of work."""

    wall: float  # median
    cpu: float  # mean, of all threads of the process


def timed(work: Callable[[], object], times: int, before: Callable[[], object] | None = None) -> Timed:
    """Do `work` so many times and say what one of it takes; `before` is not counted."""
    gc.collect()
    walls: list[int] = []
    cpu = 0
    for _ in range(times):
        if before is not None:
            before()
        burnt, begun = time.process_time_ns(), time.perf_counter_ns()
        work()
        walls.append(time.perf_counter_ns() - begun)
        cpu += time.process_time_ns() - burnt
    return {"wall": median(walls) / 1_000, "cpu": cpu / times / 1_000}
