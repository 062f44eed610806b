"""The token endpoint, in one run with other authorization servers: one core for the server, another for the load.

python benchmarks/token_endpoint.py [--rounds N] [--requests N] [--no-peers] [--postgres URL] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from installed import NotInstallableError
from token_load import Outcome, closed_loop, open_loop, resident
from token_servers import PEERS, Bridge, Server, bridge

KINDS: Final = {
    "cc": "client_credentials, private_key_jwt",
    "vp": "presentation of one credential",
    "chain": "presentation of three hops",
}
CONNECTIONS: Final = 4
LOAD: Final = 0.7  # of the measured most, for the latencies
# ours, the other, the least ratio per CPU second
RATIOS: Final = (
    ("bridge cc", "oidc-provider cc", 2.5),
    ("bridge cc", "authlib cc", 2.8),
    ("bridge vp", "oidc-provider cc", 1.3),
)
RATES: Final = (("bridge vp", 480), ("bridge chain", 300))  # per second of one core

Results = dict[str, list[Outcome]]


def main() -> int:
    """Measure and print; the numbers decide nothing here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400, help="of each kind and round")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--postgres", metavar="URL", help="measure on PostgreSQL instead of SQLite")
    parser.add_argument("--tokens", type=int, default=0, help="live tokens to add for a second look at the bridge")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0})
    with ExitStack() as stack:
        ours = stack.enter_context(bridge(database=options.postgres))
        servers: list[tuple[Server, str]] = [(ours, kind) for kind in KINDS]
        for start in () if options.no_peers else PEERS:
            try:
                servers.append((stack.enter_context(start()), "cc"))
            except NotInstallableError as error:
                print(f"{start.__name__}: not part of this run: {error}", file=sys.stderr)
        idle = resident(ours.pids)
        results = asyncio.run(_rounds(servers, options.rounds, options.requests))
        latencies = asyncio.run(_at_load(ours, results, options.requests))
        memory = {"idle": idle, "after": resident(ours.pids)}
        if options.tokens:
            ours.fill(options.tokens)
            again = asyncio.run(_rounds([(ours, "cc")], options.rounds, options.requests))
            _compare(results["bridge cc"], again["bridge cc"], options.tokens)
    report = _report(results, latencies, memory)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2), "utf-8")
    return 0


async def _rounds(servers: list[tuple[Server, str]], rounds: int, count: int) -> Results:
    """Measure everyone once a round, one after the other, so that a busy moment meets all alike."""
    results: Results = {f"{server.name} {kind}": [] for server, kind in servers}
    for number in range(rounds + 1):
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
        for server, kind in servers:
            requests = server.prepare(kind, count)  # signed before the clock runs
            outcome = await closed_loop(server.port, requests, connections=CONNECTIONS, pids=server.pids)
            if number:  # the first warms up
                results[f"{server.name} {kind}"].append(outcome)
    print(file=sys.stderr)
    return results


async def _at_load(ours: Bridge, results: Results, count: int) -> dict[str, Outcome]:
    """Return latencies at seven tenths of the most that was measured."""
    found = {}
    for kind in KINDS:
        most = median(one.requests / one.seconds for one in results[f"bridge {kind}"])
        requests = ours.prepare(kind, count)
        found[kind] = await open_loop(ours.port, requests, rate=LOAD * most, pids=ours.pids)
    return found


def _compare(before: list[Outcome], after: list[Outcome], tokens: int) -> None:
    first, second = (median(one.percentile(0.5) for one in outcomes) for outcomes in (before, after))
    print(
        f"p50 with {tokens:,} more live tokens: {second:.2f} ms, {second / first:.2f} times {first:.2f} ms   <= 1.2\n"
    )


def _report(results: Results, latencies: dict[str, Outcome], memory: dict[str, float]) -> dict[str, Any]:
    rates = {name: median(one.per_cpu_second for one in outcomes) for name, outcomes in results.items()}
    print(f"{'':44}{'a CPU second':>14}{'CPU us':>9}{'a second':>10}{'p50 ms':>8}{'p99 ms':>8}")
    for name, outcomes in results.items():
        server, _, kind = name.rpartition(" ")
        wall = median(one.requests / one.seconds for one in outcomes)
        middle, worst = (median(one.percentile(share) for one in outcomes) for share in (0.5, 0.99))
        label = f"{server}: {KINDS[kind]}"
        print(f"{label:44}{rates[name]:14,.0f}{1e6 / rates[name]:9,.0f}{wall:10,.0f}{middle:8.2f}{worst:8.2f}")
    print(f"\nlatency at {LOAD:.0%} of the most, open loop")
    for kind, outcome in latencies.items():
        print(f"{KINDS[kind]:44}p50 {outcome.percentile(0.5):6.2f} ms   p99 {outcome.percentile(0.99):6.2f} ms   <= 25")
    print(f"\nresident memory: {memory['idle']:.0f} MB idle (<= 120), {memory['after']:.0f} MB after the load\n")
    ratios = {}
    for ours, other, target in RATIOS:
        if ours in rates and other in rates:
            ratio = ratios[f"{ours} / {other}"] = rates[ours] / rates[other]
            print(f"{ours} / {other}".ljust(44) + f"{ratio:6.2f}   >= {target}   {_verdict(ratio >= target)}")
    for name, target in RATES:
        print(
            f"{name} per CPU second".ljust(44)
            + f"{rates[name]:6,.0f}   >= {target}   {_verdict(rates[name] >= target)}"
        )
    return {
        "machine": platform.platform(),
        "python": platform.python_version(),
        "per_cpu_second": rates,
        "ratios": ratios,
        "memory_mb": memory,
        "at_load_ms": {
            kind: {"p50": one.percentile(0.5), "p99": one.percentile(0.99)} for kind, one in latencies.items()
        },
    }


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
