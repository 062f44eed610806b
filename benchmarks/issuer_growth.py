"""The issuer as it grows: agents and credentials from a thousand to a million, each time the same questions.

It runs as it does in production, durable, on one core; bridge, ledger, database and load have the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import issuer_rows as rows
from issuer_server import Served, deployment, durable_postgres, issuer, load
from token_databases import own_database
from token_processes import leave_cores_to, resident

from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.sql import open_database
from issuer.adapters.sql import SQLStore
from issuer.migrations import SCHEMA

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
LOOKUPS: Final = 2_000
IMPORT: Final = 1_000  # agents of one request
BULK: Final = 500  # credentials of one request
BULKS: Final = 6  # such requests of each size
# what is measured, the unit, the bound at the largest size, whether it is the most
PROMISES: Final = (
    ("lookup by id, p99", "ms", 5.0, True),
    ("lookup by DID, p99", "ms", 5.0, True),
    ("slowest list page, p50", "ms", 300.0, True),
    ("start to ready", "s", 2.0, True),
    ("issued", "/s", 400.0, False),
    ("issued in bulk", "/s", 1_500.0, False),
    ("100k agents imported in", "s", 120.0, True),
)


@dataclass
class Grown:
    """What was measured at one size."""

    size: int
    values: dict[str, float] = field(default_factory=dict)
    pages: dict[str, float] = field(default_factory=dict)  # ms, by what was asked


def main() -> None:
    """Measure, print, and write JSON if asked."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many agents and credentials there are")
    reader.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    reader.add_argument("--postgres", metavar="URL", help="a server to use; without it one is started that is durable")
    reader.add_argument("--requests", type=int, default=1_500, help="credentials issued for each size")
    reader.add_argument("--imported", type=int, default=100_000, help="agents imported at the end")
    reader.add_argument("--folder", type=Path, help="where databases are put; a disk, not memory")
    reader.add_argument("--json", type=Path, metavar="FILE")
    asked = reader.parse_args()
    leave_cores_to(1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.folder)))
        url = f"sqlite:///{folder}/issuer.db"
        if asked.database == "postgresql":
            server = asked.postgres or stack.enter_context(durable_postgres(folder))
            url = stack.enter_context(own_database(server))
        sizes = [int(one) for one in asked.sizes.split(",")]
        found = measured(folder / "data", url, sizes, requests=asked.requests, imported=asked.imported)
    report(found, asked.database)
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(found, asked.database), indent=2) + "\n", encoding="utf-8")


def measured(folder: Path, url: str, sizes: Sequence[int], *, requests: int, imported: int) -> list[Grown]:
    """Grow one database, and measure at each size."""
    asyncio.run(_prepared(url))
    found, there = [], 0
    with deployment(folder) as running:
        for size in sizes:
            begun = time.perf_counter()
            rows.fill(url, there, size)
            there = size
            print(f"{size:,} agents and credentials written in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
            grown = Grown(size)
            found.append(grown)
            grown.values |= asyncio.run(_lookups(url, size))
            with issuer(running, url) as served:
                grown.values["start to ready"] = served.ready
                grown.values["memory at start"] = resident([served.pid])
                _pages(served, grown)
                _issuing(served, grown, requests)
                _issuing_in_bulk(served, grown)
                if size == sizes[-1]:
                    _importing(served, grown, imported)
                grown.values["memory at end"] = resident([served.pid])
    return found


async def _prepared(url: str) -> None:
    engine = open_database(url)
    await prepare_schema(engine, SCHEMA)
    await engine.dispose()


async def _lookups(url: str, size: int) -> Mapping[str, float]:
    """Return what the store takes to find an agent, a transaction each."""
    engine, taken = open_database(url), dict[str, list[float]]()
    store = SQLStore(engine)
    for name, named in (("id", rows.agent_id), ("DID", rows.did)):
        for number in range(LOOKUPS + 100):
            wanted = named(secrets.randbelow(size))
            begun = time.perf_counter()
            async with store.work() as work:
                assert await work.agent(wanted, organisation="home", hold=False) is not None  # noqa: S101
            if number >= 100:
                taken.setdefault(name, []).append((time.perf_counter() - begun) * 1_000)
    await engine.dispose()
    return {
        f"lookup by {name}, {shown}": sorted(times)[int(share * LOOKUPS)]
        for name, times in taken.items()
        for shown, share in (("p50", 0.5), ("p99", 0.99))
    }


def _pages(served: Served, grown: Grown) -> None:
    """Ask for every page that can be asked for, the deepest ones too."""
    asked: dict[str, Mapping[str, str]] = {
        "agents": {},
        "agents: name": {"name": f"agent-{grown.size // 2:07}"},
        "agents: prefix": {"prefix": "agent-00"},
        "agents: text": {"text": "number"},
        "agents: text that one has": {"text": str(grown.size // 2)},
        "agents: state": {"state": "suspended"},
        "agents: state, most": {"state": "active"},
        "agents: sponsor": {"sponsor": "Team 7"},
        "agents: owner": {"owner": "did:key:owner-7"},
        "agents: tag": {"tag": "tag-7"},
        "agents: group": {"group": "group-7"},
        "agents: template": {"template": "template-7"},
        "agents: tag, state, sponsor": {"tag": "tag-7", "state": "suspended", "sponsor": "Team 7"},
        "agents: sponsor, none fits": {"sponsor": "Team 7", "state": "pending"},
        "agents: count": {"state": "active", "count": "true"},
        "credentials": {},
        "credentials: agent": {"agent": rows.agent_id(3)},
        "credentials: active": {"state": "active"},
        "credentials: expired": {"state": "expired"},
        "credentials: revoked": {"state": "revoked"},
    }
    for name, query in asked.items():
        path = f"/{name.partition(':')[0]}?{urlencode({**query, 'limit': '100'})}"
        outcome, _ = load(served, [served.request("GET", path)] * 10, connections=1)
        grown.pages[name] = outcome.percentile(0.5)
    grown.pages["agents, page after page"] = _walked(served)
    grown.values["slowest list page, p50"] = max(grown.pages.values())
    paths = [f"/agents/{quote(rows.agent_id(secrets.randbelow(grown.size)), safe='')}" for _ in range(500)]
    outcome, _ = load(served, [served.request("GET", one) for one in paths], connections=1)
    grown.values |= {"shown by HTTP, p50": outcome.percentile(0.5), "shown by HTTP, p99": outcome.percentile(0.99)}


def _walked(served: Served) -> float:
    """Return what the slowest of the first pages took, each asked for by what the last one said."""
    slowest, query = 0.0, {"limit": "100"}
    for _ in range(10):
        outcome, (answer,) = load(served, [served.request("GET", f"/agents?{urlencode(query)}")], connections=1)
        slowest = max(slowest, outcome.percentile(0.5))
        if answer["next"] is None:
            break
        query["after"] = answer["next"]
    return slowest


def _issuing(served: Served, grown: Grown, requests: int) -> None:
    body = json.dumps({"capabilities": [rows.CAPABILITY]}).encode()
    paths = [f"/agents/{quote(rows.agent_id(one % rows.REAL), safe='')}/credentials" for one in range(requests)]
    load(served, [served.request("POST", path, body) for path in paths[:200]], connections=8)
    outcome, answers = load(served, [served.request("POST", path, body) for path in paths], connections=8)
    assert len({answer["credential"]["id"] for answer in answers}) == requests  # noqa: S101
    grown.values |= {
        "issued": outcome.per_second,
        "issued, of a CPU second": outcome.per_cpu_second,
        "issued, p50": outcome.percentile(0.5),
        "issued, p99": outcome.percentile(0.99),
    }


def _issuing_in_bulk(served: Served, grown: Grown) -> None:
    entries = [{"agent": rows.agent_id(one % rows.REAL), "capabilities": [rows.CAPABILITY]} for one in range(BULK)]
    request = served.request("POST", "/credentials/bulk", json.dumps({"entries": entries}).encode())
    load(served, [request], connections=1)
    outcome, answers = load(served, [request] * BULKS, connections=1)
    assert all(len(answer["credentials"]) == BULK for answer in answers)  # noqa: S101
    grown.values |= {
        "issued in bulk": outcome.per_second * BULK,
        "issued in bulk, of a CPU second": outcome.per_cpu_second * BULK,
    }


def _importing(served: Served, grown: Grown, imported: int) -> None:
    begun = time.perf_counter()
    for number in range(0, imported, IMPORT):
        request = served.request("POST", "/agents/import", rows.import_rows(number, min(IMPORT, imported - number)))
        _, (answer,) = load(served, [request], connections=1)
        assert answer["refused"] == 0  # noqa: S101
    waited = 0.5 * len(range(0, imported, IMPORT))  # between requests, for what they left to be delivered
    grown.values["100k agents imported in"] = (time.perf_counter() - begun - waited) * 100_000 / imported


def report(found: Sequence[Grown], database: str) -> None:
    """Print one table of all sizes, and what was promised."""
    print(f"\nissuer on {database}; ms, but where another unit is named\n")
    print(f"{'':40}" + "".join(f"{grown.size:>12,}" for grown in found))
    for kind in ("values", "pages"):
        for name in dict.fromkeys(name for grown in found for name in getattr(grown, kind)):
            cells = (getattr(grown, kind).get(name) for grown in found)
            print(f"{name:40}" + "".join(f"{'-':>12}" if one is None else f"{one:12,.2f}" for one in cells))
        print()
    for name, unit, bound, upper in PROMISES:
        value = found[-1].values.get(name)
        if value is not None:
            kept = value <= bound if upper else value >= bound
            print(
                f"{name:40}{value:12,.2f} {unit:3} {'<=' if upper else '>='} {bound:<8g}{'met' if kept else 'MISSED'}"
            )


def as_json(found: Sequence[Grown], database: str) -> dict[str, Any]:
    """Return everything for a file."""
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    sizes = {str(grown.size): {**grown.values, "pages": grown.pages} for grown in found}
    return {"machine": machine, "database": database, "sizes": sizes}


if __name__ == "__main__":
    main()
