"""What connections that say nothing cost those who do: latency of the others, and memory of the guarded server."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from guard_servers import Target, call, target, token
from token_load import closed_loop
from token_processes import resident
from token_servers import Bridge

SPARE: Final = 200  # descriptors beside the connections
AT_ONCE: Final = 200  # connections that are opened together
WARM_UP: Final = 300
ROUNDS: Final = 3


def measure(bridge: Bridge, *, idle: int, count: int) -> dict[str, Any]:
    """Return latency and memory without and with so many idle connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server gets as many from us
    idle = min(idle, hard - SPARE)
    with target("sdk guarded", bridge) as one:
        shown = token(bridge)
        return asyncio.run(_measure(one, shown, idle, count))


async def _measure(one: Target, shown: str, idle: int, count: int) -> dict[str, Any]:
    await _calls(one, shown, WARM_UP)
    alone = await _latency(one, shown, count)
    before = resident([one.pid])
    writers: list[asyncio.StreamWriter] = []
    for _ in range(0, idle, AT_ONCE):
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", one.port) for _ in range(AT_ONCE)))
        writers += [writer for _, writer in opened]
    beside = await _latency(one, shown, count)
    after = resident([one.pid])
    for writer in writers:
        writer.close()
    with suppress(OSError):
        await writers[-1].wait_closed()
    return {
        "connections": len(writers),
        "alone": alone,
        "beside": beside,
        "p99_ratio": beside["p99"] / alone["p99"],
        "mb": after - before,
    }


async def _latency(one: Target, shown: str, count: int) -> dict[str, float]:
    outcomes = [await _calls(one, shown, count) for _ in range(ROUNDS)]
    # The quietest round: what else this machine does is not what is asked.
    return {name: min(each.percentile(at) for each in outcomes) for name, at in (("p50", 0.5), ("p99", 0.99))}


async def _calls(one: Target, shown: str, count: int) -> Any:
    return await closed_loop([one.port], [call(one.port, shown)] * count, pids=[one.pid], connections=1)


def show(found: Mapping[str, Any]) -> None:
    """Print the numbers."""
    alone, beside = found["alone"], found["beside"]
    print(f"\n{found['connections']:,} idle connections: p99 {alone['p99']:.2f} -> {beside['p99']:.2f} ms ", end="")
    print(f"({found['p99_ratio']:.2f} x, target 2), memory +{found['mb']:.0f} MB (target 150)")
