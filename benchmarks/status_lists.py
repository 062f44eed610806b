"""Status lists of the issuer as they grow: flip, build, sign, serve from memory, hand out places, stop ten thousand.

python benchmarks/status_lists.py [--postgres URL] [--sizes 1000,10000,...] [--times N] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import insert, text
from token_databases import own_database

from did_agent.adapters.sql import create_schema, open_database
from did_agent.clock import numeric_date, system_clock
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore, metadata
from issuer.adapters.tables import grants
from issuer.model.status import Place
from issuer.service.office import Office
from issuer.service.places import KeptLists
from issuer.service.status import Statuses, StatusRoom
from issuer.status_lists import LIST_SIZE, sign_list

SET: Final = 0.01  # of the places are revoked
STOPPED: Final = 10_000  # agents that are suspended at once
CHUNK: Final = 5_000  # rows of one statement
HELD: Final = 0.001  # s between looks of the watch that says how long other requests were held


class _NoNews:
    async def push(self) -> bool:
        return False

    def wake_audit(self) -> None:
        return


class _Watch:
    """Says for how long the loop did nothing else."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(HELD)
            self.longest = max(self.longest, time.perf_counter() - begun - HELD)


def main() -> int:
    """Measure and print; the numbers decide nothing here."""
    options = _options()
    found: dict[str, Any] = {"set": SET, "times": options.times, "databases": {}}
    with tempfile.TemporaryDirectory() as folder:
        urls = {"sqlite": nullcontext(f"sqlite:///{Path(folder) / 'issuer.db'}")}
        opened: dict[str, Any] = (
            urls if options.postgres is None else {**urls, "postgresql": own_database(options.postgres)}
        )
        for name, database in opened.items():
            with database as url:
                found["databases"][name] = asyncio.run(_measure(url, options.sizes, options.times))
    _show(found)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", metavar="URL", help="measure on this server too, in a database of its own")
    parser.add_argument("--sizes", type=_sizes, default=[1_000, 10_000, 100_000, 1_000_000], metavar="N,N")
    parser.add_argument("--times", type=int, default=300, help="flips and answers of each size")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _sizes(value: str) -> list[int]:
    return [int(part) for part in value.split(",")]


async def _measure(url: str, sizes: Sequence[int], times: int) -> dict[str, Any]:
    engine = open_database(url)
    await create_schema(engine, metadata)
    key, moment = SigningKey.generate(), [system_clock()]
    office = Office(
        store=SQLStore(engine), news=_NoNews(), key=key, url="https://issuer.example", clock=lambda: moment[0]
    )
    found: dict[str, Any] = {}
    for size in sizes:
        found[str(size)] = await _one(office, engine, moment, size, times)
    await engine.dispose()
    return found


async def _one(office: Office, engine: Any, moment: list[datetime], size: int, times: int) -> dict[str, Any]:
    # As many places in one list as the size says: a list is never shorter than the herd that the standard wants.
    length = max(LIST_SIZE, -(-size * 4 // 3 // 8) * 8)
    office = replace(office, list_size=length, lists=KeptLists())
    begun = time.perf_counter()
    places = list(await StatusRoom(office=office).take("home", size))
    handed = time.perf_counter() - begun
    numbers = {place.list_number for place in places}
    number = max(numbers, key=lambda one: sum(place.list_number == one for place in places))
    places = [place for place in places if place.list_number == number]
    await _fill(engine, places, moment[0])
    revoked, rest = places[: int(size * SET)], places[int(size * SET) :]
    for at in range(0, len(revoked), CHUNK):
        async with office.store.work() as work:
            await work.flip(revoked[at : at + CHUNK], "revocation", value=True)
    statuses, watch = Statuses(office=office), _Watch()
    watching = asyncio.create_task(watch.run())
    cold = await _timed(lambda: statuses.serve("revocation", number))
    kept = office.lists.get(number)
    assert kept is not None  # noqa: S101  # it was served
    flips, rebuilt, fresh = [], [], rest[:times]
    for place in fresh:
        flips.append(await _timed(lambda place=place: _flip(office, place)))
        rebuilt.append(await _timed(lambda: statuses.serve("revocation", number)))
    cached = [await _timed(lambda: statuses.serve("revocation", number)) for _ in range(times)]
    watching.cancel()
    about: dict[str, Any] = {"purpose": "revocation", "number": number, "key": office.key, "issuer_url": office.url}
    signed = []
    for _ in range(min(times, 50)):
        began = time.perf_counter()
        sign_list(kept.bits.revocation, **about, now=moment[0])
        signed.append(time.perf_counter() - began)
    stopped = await _timed(lambda: _stop(office, size, moment[0]))
    return {
        "list": length,
        "set": len(revoked),
        "hand out one ms": handed / size * 1_000,
        "flip p50 ms": median(flips) * 1_000,
        "flip p99 ms": _p99(flips) * 1_000,
        "first build ms": cold * 1_000,
        "rebuild after a flip p50 ms": median(rebuilt) * 1_000,
        "rebuild after a flip p99 ms": _p99(rebuilt) * 1_000,
        "compress and sign ms": median(signed) * 1_000,
        "from memory ms": median(cached) * 1_000,
        "loop held at most ms": watch.longest * 1_000,
        "bytes served": len(next(iter(kept.served.values())).body),
        "memory MB": await _memory(office, number),
        "suspend 10,000 agents (or all) s": stopped,
    }


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


async def _flip(office: Office, place: Place) -> None:
    async with office.store.work() as work:
        await work.flip([place], "revocation", value=True)


async def _stop(office: Office, size: int, now: datetime) -> None:
    agents = [f"urn:agent:{size}-{number}" for number in range(min(STOPPED, size))]
    async with office.store.work() as work:
        await work.flip_agents(agents, suspended=True, now=now)


async def _memory(office: Office, number: int) -> float:
    """Return what one pair of lists holds with everything built of it."""
    tracemalloc.start()
    lone = Statuses(office=replace(office, lists=KeptLists()))
    before = tracemalloc.get_traced_memory()[0]
    await lone.serve("revocation", number)
    await lone.serve("suspension", number)
    found = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return found / 1_048_576


async def _fill(engine: Any, places: Sequence[Place], now: datetime) -> None:
    """Write a credential for each place; one in a hundred agents' names says which agent."""
    at, until = numeric_date(now), numeric_date(now + timedelta(days=1))
    for begin in range(0, len(places), CHUNK):
        rows = [
            {
                "organisation": "home",
                "id": f"urn:credential:{place.list_number}-{place.index}",
                "agent_id": f"urn:agent:{len(places)}-{begin + offset}",
                "did": f"did:key:{begin + offset}",
                "document": "{}",
                "issued": at,
                "valid_until": until,
                "list_number": place.list_number,
                "list_index": place.index,
            }
            for offset, place in enumerate(places[begin : begin + CHUNK])
        ]
        async with engine.begin() as connection:
            await connection.execute(insert(grants), rows)
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _show(found: dict[str, Any]) -> None:
    for name, sizes in found["databases"].items():
        columns = list(sizes)
        sys.stdout.write(f"\n{name:36}" + "".join(f"{int(column):>12,}" for column in columns) + "   last/first\n")
        rows = list(sizes[columns[-1]])
        for row in rows:
            values = [sizes[column].get(row) for column in columns]
            shown = "".join(f"{'' if value is None else format(value, ',.3f'):>12}" for value in values)
            first, last = values[0], values[-1]
            ratio = f"{last / first:12.1f}" if first and last else ""
            sys.stdout.write(f"{row:36}{shown}{ratio}\n")


if __name__ == "__main__":
    sys.exit(main())
