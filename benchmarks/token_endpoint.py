"""The token endpoint, in one run with other authorization servers: one core for the server, another for the load.

python benchmarks/token_endpoint.py [--rounds N] [--requests N] [--only cc,vp,chain] [--no-peers] [--postgres URL]
                                    [--registered N] [--workers] [--logins] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import token_scenarios as scenarios
from installed import NotInstallableError
from token_load import Outcome, closed_loop, open_loop
from token_processes import leave_cores_to, resident
from token_report import CHALLENGE, KINDS, LOAD, Results, report
from token_servers import PEERS, Bridge, Server, bridge

WARM_UP: Final = 3_000  # requests to everyone before the first round: just-in-time compilers need them
LEAST_AT_LOAD: Final = 1_000  # requests a percentile is read from
AT_ONCE: Final = 1_000  # requests signed together, so that none is over before it is sent


def main() -> int:
    """Measure and print; the numbers decide nothing here."""
    options = _options()
    with ExitStack() as stack:
        leave_cores_to(1)
        ours = stack.enter_context(bridge(postgres=options.postgres))
        idle = resident(ours.pids)
        servers: list[tuple[Server, str]] = [(ours, kind) for kind in options.only]
        if any(kind != "cc" for kind in options.only):
            servers.append((ours, CHALLENGE))
        missing: dict[str, str] = {}
        for start in () if options.no_peers else PEERS:
            try:
                servers.append((stack.enter_context(start()), "cc"))
            except NotInstallableError as error:
                missing[start.__name__] = str(error)
        results = _rounds(servers, options.rounds, options.requests, options.warm_up)
        at_load = _at_load(ours, results, options)
        memory = {"idle": idle, "after": resident(ours.pids)}
    more = _scenarios(options)
    found = report(results, at_load, memory, more, missing, database="PostgreSQL" if options.postgres else "SQLite")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400, help="of each kind and round")
    parser.add_argument("--warm-up", type=int, default=WARM_UP, metavar="N", help="requests of each kind before them")
    parser.add_argument("--only", type=_kinds, default=tuple(KINDS), metavar="KINDS", help="of ours: cc,vp,chain")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--postgres", metavar="URL", help="measure on PostgreSQL, in a new database, instead of SQLite")
    parser.add_argument("--registered", type=int, default=0, metavar="N", help="compare N live tokens with 1,000")
    parser.add_argument("--workers", action="store_true", help="compare two workers on one database with one")
    parser.add_argument("--logins", action="store_true", help="compare with and without people signing in")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if unknown := set(kinds) - set(KINDS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return kinds


def _rounds(servers: Sequence[tuple[Server, str]], rounds: int, count: int, warm_up: int) -> Results:
    """Measure everyone once a round, one after the other, so that a busy moment meets all alike."""
    for server, kind in servers:
        for _ in range(0, warm_up, AT_ONCE):
            asyncio.run(closed_loop(server.ports, server.prepare(kind, min(warm_up, AT_ONCE)), pids=server.pids))
    results: Results = {f"{server.name} {kind}": [] for server, kind in servers}
    for number in range(1, rounds + 1):
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
        for server, kind in servers:
            requests = server.prepare(kind, count)  # signed before the clock runs
            outcome = asyncio.run(closed_loop(server.ports, requests, pids=server.pids))
            results[f"{server.name} {kind}"].append(outcome)
    print(file=sys.stderr)
    return results


def _at_load(ours: Bridge, results: Results, options: argparse.Namespace) -> dict[str, Outcome]:
    """Return latencies at seven tenths of the most that was measured."""
    found = {}
    for kind in options.only:
        most = median(one.per_second for one in results[f"bridge {kind}"])
        requests = ours.prepare(kind, max(options.requests, LEAST_AT_LOAD))
        found[kind] = asyncio.run(open_loop(ours.ports[0], requests, rate=LOAD * most, pids=ours.pids))
    return found


def _scenarios(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {"postgres": options.postgres, "rounds": options.rounds, "count": options.requests}
    found: dict[str, Any] = {}
    if options.registered:
        found["registered"] = scenarios.registered(options.registered, **chosen)
    if options.logins:
        found["logins"] = scenarios.logins(**chosen)
    if options.workers:  # the last: it changes which cores this process runs on
        found["workers"] = scenarios.workers(**chosen)
    return found


if __name__ == "__main__":
    sys.exit(main())
