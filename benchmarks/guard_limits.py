"""What spending a limit costs, each spend a commit of its own, against as many accounts as a chain has."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from token_databases import own_database

from did_agent.clock import system_clock
from verifier.adapters.limits import open_limits
from verifier.limits.model import Charge, Spent, microseconds

ACCOUNTS: Final = {"one credential": 1, "three credentials": 3}
PLENTY: Final = 2**40
FIRST: Final = 50  # spends before anything is counted


def measure(folder: Path, *, postgres: str | None, count: int) -> dict[str, Any]:
    """Return p50 and p99 of a spend, in ms, by database and length of the chain."""
    with ExitStack() as stack:
        urls = {"SQLite": f"sqlite:///{folder}/limits.db"}
        if postgres is not None:
            urls["PostgreSQL"] = stack.enter_context(own_database(postgres))
        return {name: asyncio.run(_spend(url, folder, count)) for name, url in urls.items()}


async def _spend(url: str, folder: Path, count: int) -> dict[str, Any]:
    counter, found = open_limits(url, default=folder / "limits.db"), {}
    try:
        for name, accounts in ACCOUNTS.items():
            charges = [
                Charge(account=f"{name} {number}", kind="calls", cap=PLENTY, cost=1) for number in range(accounts)
            ]
            walls = []
            for number in range(FIRST + count):
                now, spend = microseconds(system_clock()), uuid.uuid4().hex
                begun = time.perf_counter()
                outcome = await counter.spend(charges, now, spend)
                if number >= FIRST:
                    walls.append((time.perf_counter() - begun) * 1_000)
                if not isinstance(outcome, Spent):
                    raise TypeError(outcome)
            cuts = quantiles(walls, n=100)
            found[name] = {"p50": cuts[49], "p99": cuts[98]}
    finally:
        await counter.close()
    return found


def show(found: Mapping[str, Any]) -> None:
    """Print a table."""
    print("\nSpending a limit, ms                   p50     p99   target p50")
    for database, kinds in found.items():
        for kind, one in kinds.items():
            target = {"SQLite": 1, "PostgreSQL": 2}[database]
            print(f"{database + ', ' + kind:34}{one['p50']:8.3f}{one['p99']:8.3f}{target:8}")
