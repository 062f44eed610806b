"""How long after a decision its event stands in the ledger, by the clocks of one machine.

`python benchmarks/ledger_delay.py [--events 1000] [--rate 50]` runs a whole deployment on SQLite, has the issuer decide
so many times at that rate, and follows the ledger as a reader does; it prints JSON.  The live end is looked at twice a
second, which is part of what is measured; the time at which the ledger acknowledged is less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from did_agent.cli.deployment import Deployment
from did_agent.cli.up import running
from did_agent.clock import system_clock
from did_agent.encoding.timestamp import parse_timestamp


def free_base() -> int:
    """Return a port with room after it."""
    for base in range(20_000, 30_000, 10):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", base)) != 0:
                return base
    raise SystemExit("no port is free")


async def arrivals(at: Deployment, events: int) -> list[float]:
    """Return the delays of so many registrations, in seconds."""
    delays: list[float] = []
    async for row in at.ledger.follow(action="agent.create"):
        delays.append((system_clock() - parse_timestamp(row["event"]["time"])).total_seconds())
        if len(delays) == events:
            break
    return delays


async def measured(events: int, rate: float) -> dict[str, float]:
    """Run the deployment and return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "data", free_base()) as at:
            following = asyncio.create_task(arrivals(at, events))
            await asyncio.sleep(1)
            begun = time.monotonic()
            for number in range(events):
                await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
                await at.issuer.create_agent(name=f"agent-{number}", sponsor="Ops")
            delays = await asyncio.wait_for(following, 60)
    ordered = quantiles(delays, n=100)
    return {
        "events": events,
        "rate": rate,
        "p50_s": round(median(delays), 3),
        "p99_s": round(ordered[98], 3),
        "max_s": round(max(delays), 3),
    }


def main() -> None:
    """Print the delays as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=50.0, help="decisions a second")
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measured(asked.events, asked.rate)), indent=2))


if __name__ == "__main__":
    main()
