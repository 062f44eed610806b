"""What ten thousand connections that say nothing, or half of something, do to `did-agent guard` and to its callers.

python benchmarks/idle_connections.py [--idle N] [--calls N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from guard_servers import PROXY, Target, call, target, token
from token_load import Outcome, closed_loop
from token_processes import leave_cores_to, resident
from token_servers import bridge

HALF: Final = b"POST /mcp HTTP/1.1\r\nHost: tools.example\r\nX-Slow: "  # of every second connection
SPARE: Final = 200  # descriptors beside the connections
AT_ONCE: Final = 250  # connections that are opened together
WARM_UP: Final = 300
LONGEST: Final = 60.0  # s until the guard must have closed the last of them

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def main() -> int:
    """Measure and print; the numbers decide nothing here."""
    options = _options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = min(options.idle, hard - SPARE)
    leave_cores_to(1)
    with bridge() as at, target(PROXY, at) as one:
        shown = token(at)
        found = asyncio.run(_measure(one, shown, idle=idle, count=options.calls, rounds=options.rounds))
    _show(found)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000, metavar="N", help="connections")
    parser.add_argument("--calls", type=int, default=400, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


async def _measure(one: Target, shown: str, *, idle: int, count: int, rounds: int) -> dict[str, Any]:
    await _calls(one, shown, WARM_UP)
    alone = [await _calls(one, shown, count) for _ in range(rounds)]
    before, begun = resident([one.pid]), time.perf_counter()
    held = await _opened(one.port, idle)
    opened = time.perf_counter() - begun
    beside = [await _calls(one, shown, count) for _ in range(rounds)]
    still, after = _open(held), resident([one.pid])
    closed = await _until_closed(held, begun)
    return {
        "connections": len(held),
        "open_after_the_calls": still,
        "seconds_to_open": opened,
        "seconds_until_all_were_closed": closed,
        "alone": _latency(alone),
        "beside": _latency(beside),
        "p99_ratio": _latency(beside)["p99"] / _latency(alone)["p99"],
        "mb": after - before,
    }


async def _opened(port: int, idle: int) -> list[Connection]:
    held: list[Connection] = []
    while len(held) < idle:
        more = min(AT_ONCE, idle - len(held))
        held += await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(more)))
    for _, writer in held[::2]:
        writer.write(HALF)
    return held


def _open(held: list[Connection]) -> int:
    return sum(not reader.at_eof() for reader, _ in held)


async def _until_closed(held: list[Connection], begun: float) -> float | None:
    try:
        async with asyncio.timeout(LONGEST):
            for reader, writer in held:
                with suppress(ConnectionError):
                    await reader.read()
                writer.close()
    except TimeoutError:
        return None
    return time.perf_counter() - begun


async def _calls(one: Target, shown: str, count: int) -> Outcome:
    return await closed_loop([one.port], [call(one.port, shown)] * count, pids=[one.pid], connections=1)


def _latency(outcomes: list[Outcome]) -> dict[str, float]:
    # The quietest round: what else this machine does is not what is asked.
    return {name: min(each.percentile(at) for each in outcomes) for name, at in (("p50", 0.5), ("p99", 0.99))}


def _show(found: dict[str, Any]) -> None:
    alone, beside = found["alone"], found["beside"]
    print(f"{found['connections']:,} connections opened in {found['seconds_to_open']:.1f} s, ", end="")
    print(f"{found['open_after_the_calls']:,} still open after the calls")
    for name in ("p50", "p99"):
        print(f"{name} {alone[name]:.2f} -> {beside[name]:.2f} ms, ", end="")
    print(f"p99 {found['p99_ratio']:.2f} x (target 2), memory +{found['mb']:.0f} MB (target 150)")
    closed = found["seconds_until_all_were_closed"]
    print("not all were closed" if closed is None else f"all closed by the guard after {closed:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
