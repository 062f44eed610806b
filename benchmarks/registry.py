"""How fast the registry is: agents imported, found by every filter, and stopped all at once, at growing sizes.

`python benchmarks/registry.py [--agents 100000] [--database URL]` prints JSON.  Without a URL it is SQLite in a
temporary folder.  Requests go through the API in this process; the time of whoever asks is in the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text, update

from did_agent.adapters.sql import open_database, transaction
from issuer.adapters.tables import agents
from tests.fakes.issuer_world import ADMIN, issuer

BATCH = 1_000
ASKED = 60  # times each question is asked
STOPPED = 10_000  # agents that one switch covers


def require(is_so: bool, answer: httpx2.Response) -> None:  # it is what is required
    if not is_so:
        raise SystemExit(f"{answer.status_code} {answer.text[:400]}")


def row(number: int) -> dict[str, Any]:
    return {
        "key": f"row-{number}",
        "name": f"agent {number}",
        "sponsor": "Stopped" if number < STOPPED else f"Team {number % 50}",
        "description": f"handles orders of region {number % 200}",
        "tags": [f"region-{number % 200}", "all"],
        "metadata": {"model": "m1", "version": "3"},
    }


async def imported(http: httpx2.AsyncClient, count: int) -> float:
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        rows = [row(number) for number in range(first, min(first + BATCH, count))]
        answer = await http.post("/agents/import", json={"rows": rows}, headers=ADMIN, timeout=120)
        require(answer.json()["created"] == len(rows), answer)
        if (first // BATCH) % 50 == 0:
            print(f"{first} {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    return time.perf_counter() - began


async def asked(http: httpx2.AsyncClient, path: str) -> dict[str, float]:
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        answer = await http.get(path, headers=ADMIN, timeout=60)
        require(answer.status_code == 200, answer)
        times.append((time.perf_counter() - began) * 1_000)
    times.sort()
    return {"p50_ms": round(times[len(times) // 2], 2), "p99_ms": round(times[int(len(times) * 0.99)], 2)}


async def found(http: httpx2.AsyncClient, count: int) -> dict[str, Any]:
    middle = (await http.get("/agents?state=pending&limit=100", headers=ADMIN)).json()
    one = middle["agents"][0]
    questions = {
        "lookup": f"/agents/{one['agent_id']}",
        "state": "/agents?state=pending",
        "state, next page": f"/agents?state=pending&limit=100&after={middle['next']}",
        "rare state": "/agents?state=active",
        "name": f"/agents?name=agent%20{count // 2}",
        "prefix": f"/agents?prefix=agent%20{str(count // 2)[:3]}",
        "words": "/agents?text=orders%20region",
        "sponsor": "/agents?sponsor=Team%207",
        "owner": f"/agents?owner={one['owner']}",
        "tag": "/agents?tag=region-7",
        "tag of all": "/agents?tag=all",
        "tag and state": "/agents?tag=all&state=active",
        "count": "/agents?state=pending&limit=1&count=true",
        "history": f"/agents/{one['agent_id']}/history",
    }
    return {name: await asked(http, path) for name, path in questions.items()}


async def stopped(http: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    engine = open_database(url)
    async with transaction(engine) as connection:
        # As if all of them had enrolled; a key each, so that the bridge is told of each.
        values = {"state": "active", "did": text("'did:key:z' || agent_id")}
        await connection.execute(update(agents).where(agents.c.sponsor == "Stopped").values(**values))
    await engine.dispose()
    result: dict[str, Any] = {}
    what = {"scope": "sponsor", "target": "Stopped"}
    began = time.perf_counter()
    await http.get("/kill-switches/impact", params=what, headers=ADMIN, timeout=120)
    result["preview_s"], began = round(time.perf_counter() - began, 3), time.perf_counter()
    on = await http.post("/kill-switches", json={**what, "reason": "a test"}, headers=ADMIN, timeout=120)
    require(on.status_code == 201, on)
    result["kill_s"], began = round(time.perf_counter() - began, 3), time.perf_counter()
    path = f"/kill-switches/{on.json()['id']}/lift"
    off = await http.post(path, json={"reason": "a test"}, headers=ADMIN, timeout=120)
    require(off.json()["resumed"] == on.json()["stopped"], off)
    result["lift_s"] = round(time.perf_counter() - began, 3)
    return {"agents": on.json()["stopped"], **result}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=int, default=100_000)
    parser.add_argument("--database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/issuer.db"
        async with issuer(url) as (http, _):
            seconds = await imported(http, options.agents)
            result = {
                "database": url.split(":")[0],
                "agents": options.agents,
                "import": {"seconds": round(seconds, 1), "per_second": round(options.agents / seconds)},
                "again": {"seconds": round(await again(http), 3)},
                "stop": await stopped(http, url),
                "find": await found(http, options.agents),
            }
    print(json.dumps(result, indent=1))


async def again(http: httpx2.AsyncClient) -> float:
    """Return the seconds that a batch takes which is there already."""
    began = time.perf_counter()
    rows = [row(number) for number in range(BATCH)]
    answer = await http.post("/agents/import", json={"rows": rows}, headers=ADMIN, timeout=120)
    require(answer.json()["exists"] == BATCH, answer)
    return time.perf_counter() - began


asyncio.run(main())
