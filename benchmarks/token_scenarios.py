"""The bridge under what changes its speed: many registered, two workers, people who sign in; each beside its opposite.

Every function returns numbers by what they are; latencies are in ms.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import Final

import httpx2
from token_databases import fill
from token_load import Outcome, closed_loop, open_loop
from token_processes import leave_cores_to
from token_report import LOAD
from token_servers import PASSWORD, USER, Bridge, bridge

FEW: Final = 1_000
LEAST: Final = 500  # requests of a round that a percentile is read from
_CSRF: Final = re.compile(r'name="csrf_token" value="([^"]+)"')


def registered(many: int, *, postgres: str | None, rounds: int, count: int) -> dict[str, float]:
    """Compare one request at a time beside `many` live tokens, spent assertions and agents, and beside 1,000.

    Agents are asked for at the issuer with every request, as if each came from another.
    """
    with ExitStack() as stack:
        sizes = (FEW, many)
        bridges = [
            stack.enter_context(bridge(postgres=postgres, DID_AGENT_REGISTRY_MAX_AGE="0")) for _ in range(len(sizes))
        ]
        for size, one in zip(sizes, bridges, strict=True):
            print(f"writing {size:,} tokens and agents", file=sys.stderr)
            fill(one.database, one.folder / "issuer.db", size)
        rows: list[list[Outcome]] = [[], []]
        for number in range(rounds + 1):
            for one, outcomes in zip(bridges, rows, strict=True):
                outcome = _closed(one, one.ports, count, connections=1)
                outcomes.extend([outcome] if number else [])  # the first warms up
    few, lots = ([outcome.percentile(0.5) for outcome in outcomes] for outcomes in rows)
    return {
        f"p50 beside {FEW:,}": median(few),
        f"p50 beside {many:,}": median(lots),
        "ratio of p50": median(after / before for before, after in zip(few, lots, strict=True)),
    }


def workers(*, postgres: str | None, rounds: int, count: int) -> dict[str, float]:
    """Compare two workers on one database with one of them alone.

    Where there are too few cores for all, the ratio by the wall says how they share them; what a request costs more
    because there are two, `CPU ratio` says all the same.
    """
    leave_cores_to(2)
    alone, both = list[Outcome](), list[Outcome]()
    with bridge(postgres=postgres, workers=2) as ours:
        for number in range(rounds + 1):
            one, two = _closed(ours, ours.ports[:1], count), _closed(ours, ours.ports, 2 * count)
            if number:
                alone.append(one)
                both.append(two)
    return {
        "a second, one": median(one.per_second for one in alone),
        "a second, two": median(two.per_second for two in both),
        "ratio by the wall": median(two.per_second / one.per_second for one, two in zip(alone, both, strict=True)),
        "CPU us, one": median(1e6 / one.per_cpu_second for one in alone),
        "CPU us, two": median(1e6 / two.per_cpu_second for two in both),
        "CPU ratio": median(one.per_cpu_second / two.per_cpu_second for one, two in zip(alone, both, strict=True)),
    }


def logins(*, postgres: str | None, rounds: int, count: int) -> dict[str, float]:
    """Compare latencies at load without and with somebody who signs in, again and again, on the same core."""
    quiet, busy, signed_in = list[Outcome](), list[Outcome](), list[float]()
    with bridge(postgres=postgres) as ours:
        _closed(ours, ours.ports, count)
        rate = LOAD * _closed(ours, ours.ports, count).per_second
        for _ in range(rounds):
            quiet.append(asyncio.run(_at(ours, rate, ours.prepare("cc", max(count, LEAST)))))
            outcome, entered = asyncio.run(_beside_logins(ours, rate, ours.prepare("cc", max(count, LEAST))))
            busy.append(outcome)
            signed_in.append(entered)
    before, beside = ([one.percentile(0.99) for one in outcomes] for outcomes in (quiet, busy))
    return {
        "requests a second": rate,
        "logins a second": median(signed_in),
        "p50 without": median(one.percentile(0.5) for one in quiet),
        "p50 with": median(one.percentile(0.5) for one in busy),
        "p99 without": median(before),
        "p99 with": median(beside),
        "ratio of p99": median(after / least for least, after in zip(before, beside, strict=True)),
    }


def _closed(ours: Bridge, ports: Sequence[int], count: int, **how: int) -> Outcome:
    return asyncio.run(closed_loop(ports, ours.prepare("cc", count), pids=ours.pids, **how))


async def _at(ours: Bridge, rate: float, requests: Sequence[bytes]) -> Outcome:
    return await open_loop(ours.ports[0], requests, rate=rate, pids=ours.pids)


async def _beside_logins(ours: Bridge, rate: float, requests: Sequence[bytes]) -> tuple[Outcome, float]:
    """Return the outcome, and how many signed in a second meanwhile."""
    entered, begun, over = 0, perf_counter(), asyncio.Event()

    async def again() -> None:
        nonlocal entered
        while not over.is_set():
            await _sign_in(ours.url)
            entered += 1

    people = asyncio.create_task(again())
    load = asyncio.create_task(_at(ours, rate, requests))
    # The load ends only once the server is quiet, which logins would keep it from.
    await asyncio.wait({load, people}, timeout=len(requests) / rate, return_when=asyncio.FIRST_EXCEPTION)
    over.set()
    await people
    seconds = perf_counter() - begun
    return await load, entered / seconds


async def _sign_in(url: str) -> None:
    """Sign in as somebody new at this browser.

    Raises: RuntimeError when that fails.
    """
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as browser:
        shown = await browser.get(f"{url}/account")
        token = _CSRF.search(shown.text)
        form = {"csrf_token": token[1] if token else "", "username": USER, "password": PASSWORD}
        answer = await browser.post(f"{url}/account", data=form, headers={"Origin": url})
        if answer.status_code != httpx2.codes.SEE_OTHER:
            raise RuntimeError(f"nobody could sign in: {answer.status_code}")
