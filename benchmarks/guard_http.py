"""What a guard adds to a call over HTTP: the same server with and without one, everyone once a round."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from guard_servers import PROXY, Target, call, target, token
from token_load import Outcome, closed_loop
from token_servers import Bridge

MEMORY: Final = "/dev/shm"  # noqa: S108  # a disk where syncing costs nothing
WARM_UP: Final = 300  # calls of each before the first round


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One server, and the one it is compared with."""

    name: str
    kind: str
    beside: str | None = None  # the same without a guard
    ledger: bool = False  # whether events are delivered while it is measured
    disk: str | None = None


CONTENDERS: Final = (
    Contender(name="MCP SDK", kind="sdk"),
    Contender(name="our guard", kind="sdk guarded", beside="MCP SDK"),
    Contender(name="our guard, syncing costs nothing", kind="sdk guarded", beside="MCP SDK", disk=MEMORY),
    Contender(name="our guard, delivering to a ledger", kind="sdk guarded", beside="MCP SDK", ledger=True),
    Contender(name="our guard as a reverse proxy", kind=PROXY, beside="MCP SDK"),
    Contender(name="FastMCP", kind="fastmcp"),
    Contender(name="FastMCP's JWTVerifier", kind="fastmcp verified", beside="FastMCP"),
    Contender(name="our guard, FastMCP", kind="fastmcp guarded", beside="FastMCP"),
)
PEER: Final = "FastMCP's JWTVerifier"


def measure(bridge: Bridge, *, rounds: int, count: int) -> dict[str, Any]:
    """Return p50, p99 and processor time of a call, what guards add, and the ratio to what FastMCP's verifier adds."""
    with ExitStack() as stack:
        servers = {
            one.name: stack.enter_context(target(one.kind, bridge, ledger=one.ledger, disk=one.disk))
            for one in CONTENDERS
            if one.disk is None or Path(one.disk).is_dir()
        }
        shown = token(bridge)
        for one in servers.values():
            _calls(one, shown, WARM_UP)
        found: dict[str, list[Outcome]] = {name: [] for name in servers}
        for number in range(1, rounds + 1):
            print(f"\rcalls: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
            shown = token(bridge)  # a warm one: its first use is not among what is counted
            for name, one in servers.items():
                _calls(one, shown, 2)
                found[name].append(_calls(one, shown, count))
        print(file=sys.stderr)
    return _report({name: [_summed(one) for one in outcomes] for name, outcomes in found.items()})


def _calls(one: Target, shown: str, count: int) -> Outcome:
    credential = None if one.kind in {"sdk", "fastmcp"} else shown
    # One connection: each call is alone, so that what is added is not waited for twice.
    sent = [call(one.port, credential)] * count
    return asyncio.run(closed_loop([one.port], sent, pids=[one.pid], connections=1))


Numbers = dict[str, float]  # ms


def _summed(outcome: Outcome) -> Numbers:
    return {
        "p50": outcome.percentile(0.5),
        "p99": outcome.percentile(0.99),
        "cpu": (outcome.cpu + outcome.after) / outcome.requests * 1_000,
    }


def _report(rounds: Mapping[str, Sequence[Numbers]]) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    for one in CONTENDERS:
        if one.name not in rounds:
            continue
        mine = rounds[one.name]
        servers[one.name] = {name: median(each[name] for each in mine) for name in mine[0]}
        if one.beside is not None:
            # Round by round, so that a busy moment of the machine counts for both.
            pairs = list(zip(mine, rounds[one.beside], strict=True))
            servers[one.name]["adds"] = {name: median(a[name] - b[name] for a, b in pairs) for name in mine[0]}
    peer = servers[PEER]["adds"]
    for one in CONTENDERS:
        adds = servers.get(one.name, {}).get("adds")
        if adds is not None and one.name != PEER:
            servers[one.name]["of_peer"] = {name: adds[name] / peer[name] for name in ("p50", "cpu")}
    return servers


def show(servers: Mapping[str, Any]) -> None:
    """Print a table."""
    print(
        "\nOne call of a tool, warm JWT, ms     p50     p99     CPU | adds p50     p99     CPU | of FastMCP's p50   CPU"
    )
    for name, one in servers.items():
        line = f"{name:34}{one['p50']:8.3f}{one['p99']:8.3f}{one['cpu']:8.3f} |"
        if "adds" in one:
            line += f"{one['adds']['p50']:9.3f}{one['adds']['p99']:8.3f}{one['adds']['cpu']:8.3f} |"
        if "of_peer" in one:
            line += f"{one['of_peer']['p50']:18.2f}{one['of_peer']['cpu']:6.2f}"
        print(line)
