"""One suite for every store of limits: each counts like the reference, all or nothing, once, and never too much."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from did_agent.errors import StoreUnavailable
from tests.fakes import valkey
from verifier.adapters.limits import UNSAFE, open_limits
from verifier.limits.counting import count, refunded, worst
from verifier.limits.model import HOUR, KEPT, MARGIN, SECOND, Charge, Count, Refused, Spent

NOW = 1_795_435_200 * SECOND
POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
NO_POSTGRES = pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")
NO_VALKEY = pytest.mark.skipif(valkey.is_missing(), reason=valkey.REASON)


@pytest.fixture(scope="module")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey.running(tmp_path_factory.mktemp("valkey"), *valkey.DURABLE) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=NO_POSTGRES), pytest.param("valkey", marks=NO_VALKEY)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'limits.db'}"
    return str(POSTGRES) if request.param == "postgres" else str(request.getfixturevalue("valkey_url"))


@pytest.fixture
async def counter(url: str, tmp_path: Path) -> AsyncIterator[Any]:
    found = open_limits(url, default=tmp_path / "guard.db")
    yield found
    await found.close()


@dataclass
class Reference:
    """What counting.py says, in memory."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def spend(self, charges: tuple[Charge, ...], now: int, spend_id: str) -> Spent | Refused:
        verdicts = [count(self.counts.get((one.account, one.kind)), one, now) for one in charges]
        refusal = worst(charges, verdicts)
        if refusal is not None:
            return refusal
        for charge, verdict in zip(charges, verdicts, strict=True):
            self.counts[charge.account, charge.kind] = verdict.after
        self.open.add(spend_id)
        return Spent(id=spend_id, charges=charges, starts=tuple(one.after.start for one in verdicts))

    def refund(self, spent: Spent) -> None:
        if spent.id in self.open:
            self.open.remove(spent.id)
            for charge, start in zip(spent.charges, spent.starts, strict=True):
                key = (charge.account, charge.kind)
                self.counts[key] = refunded(self.counts[key], charge, start)


def fresh() -> str:
    return uuid.uuid4().hex


def calls(account: str, cap: int, window: int | None = None) -> Charge:
    return Charge(account=account, kind="calls", cap=cap, cost=1, window=window)


def amount(account: str, cap: int, cost: int) -> Charge:
    return Charge(account=account, kind="amount", cap=cap, cost=cost)


async def allowed(counter: Any, *charges: Charge, now: int = NOW) -> bool:
    return isinstance(await counter.spend(charges, now, fresh()), Spent)


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize("seed", range(6))
async def test_a_store_counts_like_the_reference(counter: Any, seed: int) -> None:
    choose, reference = random.Random(seed), Reference()
    accounts = sorted(fresh() for _ in range(3))
    caps = {name: choose.randrange(1, 6) for name in accounts}
    windows = {name: choose.choice([None, 3 * SECOND, 10 * SECOND]) for name in accounts}
    most = {name: choose.randrange(10**9, 10**24) for name in accounts}
    rates = {name: (choose.randrange(0, 4) * SECOND, choose.randrange(1, 4) * SECOND) for name in accounts}
    now, spends = NOW, [Spent(id=fresh(), charges=(), starts=())]
    outcomes = set()
    for _ in range(60):
        now += choose.choice([-SECOND, 0, 1, SECOND // 2, SECOND, 4 * SECOND])
        if choose.random() < 0.2:
            spent = choose.choice(spends)
            reference.refund(spent)
            await counter.refund(spent)
            continue
        charges = []
        for name in choose.sample(accounts, choose.randrange(1, 4)):
            kinds = choose.sample(["calls", "once", "amount", "rate"], choose.randrange(1, 3))
            early, between = rates[name]
            made = {
                "calls": calls(name, caps[name], windows[name]),
                "once": Charge(account=name, kind="once", cap=1, cost=1),
                "amount": amount(name, most[name], choose.randrange(most[name])),
                "rate": Charge(account=name, kind="rate", cap=early, cost=between),
            }
            charges += [made[kind] for kind in kinds if kind != "once" or choose.random() < 0.1]
        if not charges:
            continue
        planned = tuple(sorted(charges, key=lambda one: (one.account, one.kind)))
        spend_id = fresh()
        expected = reference.spend(planned, now, spend_id)
        found = await counter.spend(planned, now, spend_id)
        if isinstance(found, Refused) and found.charge.kind == "rate":
            assert isinstance(expected, Refused)
            assert (found.charge, found.wait) == (expected.charge, expected.wait)
        else:
            assert found == expected
        outcomes.add(type(expected))
        if isinstance(found, Spent):
            spends.append(found)
    assert outcomes == {Spent, Refused}


async def test_all_charges_are_made_or_none(counter: Any) -> None:
    parent, child = sorted((fresh(), fresh()))
    assert await allowed(counter, calls(parent, 1), calls(child, 5))
    for _ in range(3):
        assert not await allowed(counter, calls(parent, 1), calls(child, 5))
    assert [await allowed(counter, calls(child, 5)) for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.req("DEL-05")
async def test_of_many_calls_at_once_exactly_as_many_as_the_cap_allows_are_made(url: str, tmp_path: Path) -> None:
    guards = [open_limits(url, default=tmp_path / "guard.db") for _ in range(3)]
    parent, children = fresh(), [fresh(), fresh()]

    async def call(number: int) -> bool:
        charges = sorted((calls(parent, 50), calls(children[number % 2], 40)), key=lambda one: one.account)
        return await allowed(guards[number % 3], *charges)

    results = await asyncio.gather(*(call(number) for number in range(120)))
    assert sum(results) == 50
    for guard in guards:
        await guard.close()


@NO_POSTGRES
async def test_guards_that_start_at_once_make_the_tables_once(tmp_path: Path) -> None:
    import psycopg

    name, server = f"limits_{fresh()}", str(POSTGRES).replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
    guards = [open_limits(f"{server.rsplit('/', 1)[0]}/{name}", default=tmp_path / "guard.db") for _ in range(6)]
    account = fresh()
    results = await asyncio.gather(*(allowed(guards[number % 6], calls(account, 40)) for number in range(60)))
    assert sum(results) == 40
    for guard in guards:
        await guard.close()
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@NO_POSTGRES
@pytest.mark.req("FCL")
async def test_a_database_that_was_away_is_found_again(tmp_path: Path) -> None:
    import psycopg

    counter, name = open_limits(str(POSTGRES), default=tmp_path / "guard.db"), fresh()
    assert all(await asyncio.gather(*(allowed(counter, calls(name, 9)) for _ in range(4))))
    async with await psycopg.AsyncConnection.connect(str(POSTGRES).replace("+psycopg", ""), autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%did_agent_spend%' AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        await counter.spend((calls(name, 9),), NOW, fresh())
    # The other connections that broke with it are not tried one after the other.
    assert await allowed(counter, calls(name, 9))
    await counter.close()


async def test_a_window_begins_with_the_first_use_and_no_clock_begins_it_twice(counter: Any) -> None:
    name, window = fresh(), 10 * SECOND
    limit = calls(name, 2, window)
    assert [await allowed(counter, limit, now=NOW + n) for n in (0, 9 * SECOND, 9 * SECOND)] == [True, True, False]
    refused = await counter.spend((limit,), NOW + 9 * SECOND, fresh())
    assert refused == Refused(charge=limit, wait=SECOND, left=0)
    assert await allowed(counter, limit, now=NOW + window)
    # Another guard's clock is behind: its calls fall into the window that was begun.
    assert await allowed(counter, limit, now=NOW + 5 * SECOND)
    assert not await allowed(counter, limit, now=NOW + 5 * SECOND)


async def test_amounts_are_exact_to_the_last_digit(counter: Any) -> None:
    name, most = fresh(), 999_999_999_999_999_999_999_999
    assert await allowed(counter, amount(name, most, most - 1))
    refused = await counter.spend((amount(name, most, 2),), NOW, fresh())
    assert (refused.wait, refused.left) == (None, 1)
    assert await allowed(counter, amount(name, most, 1))
    assert not await allowed(counter, amount(name, most, 1))
    assert await allowed(counter, amount(name, most, 0))


async def test_a_spend_is_taken_back_once_and_in_its_own_window_alone(counter: Any) -> None:
    name = fresh()
    limit = calls(name, 1, 10 * SECOND)
    first = await counter.spend((limit,), NOW, fresh())
    await counter.refund(first)
    await counter.refund(first)
    assert await allowed(counter, limit)
    assert not await allowed(counter, limit)
    second = await counter.spend((limit,), NOW + 10 * SECOND, fresh())
    third = await counter.spend((limit,), NOW + 20 * SECOND, fresh())
    assert isinstance(third, Spent)
    await counter.refund(second)
    assert not await allowed(counter, limit, now=NOW + 21 * SECOND)


async def test_the_number_of_a_spend_counts_once(counter: Any) -> None:
    name, number = fresh(), fresh()
    assert isinstance(await counter.spend((calls(name, 9),), NOW, number), Spent)
    with pytest.raises(StoreUnavailable):
        await counter.spend((calls(name, 9),), NOW, number)
    assert [await allowed(counter, calls(name, 9)) for _ in range(9)] == [True] * 8 + [False]


async def test_counts_outlive_a_restart(url: str, tmp_path: Path) -> None:
    name = fresh()
    for expected in (True, False):
        counter = open_limits(url, default=tmp_path / "guard.db")
        assert await allowed(counter, calls(name, 1)) is expected
        await counter.close()


async def test_a_count_is_kept_until_nothing_can_need_it_and_then_deleted(tmp_path: Path) -> None:
    counter: Any = open_limits(f"sqlite:///{tmp_path / 'limits.db'}", default=tmp_path / "other.db")
    name, later = fresh(), NOW + KEPT + MARGIN
    for number in range(20):
        assert await allowed(counter, calls(f"old{number}", 1))
    assert await allowed(counter, calls(name, 1))
    assert not await allowed(counter, calls(name, 1), now=later - SECOND)
    for number in range(4):
        assert await allowed(counter, calls(f"new{number}", 1), now=later + HOUR + number)
    rows = counter._database.execute("SELECT count(*) FROM counted").fetchone()[0]
    assert rows == 4, "each spend clears more rows than it makes"
    assert counter._database.execute("SELECT count(*) FROM spends").fetchone()[0] <= 4
    await counter.close()


@pytest.mark.req("FCL")
async def test_a_store_that_is_away_is_a_refusal(tmp_path: Path) -> None:
    for url in ("postgresql://test@127.0.0.1:1/none", "redis://127.0.0.1:1/0"):
        counter = open_limits(url, default=tmp_path / "guard.db")
        with pytest.raises(StoreUnavailable):
            await counter.spend((calls(fresh(), 1),), NOW, fresh())
        await counter.close()
    with pytest.raises(StoreUnavailable):
        open_limits(f"sqlite:///{tmp_path}", default=tmp_path / "guard.db")


@NO_VALKEY
@pytest.mark.req("FCL")
@pytest.mark.parametrize(
    "options",
    [(), ("--appendonly", "yes", "--appendfsync", "everysec"), (*valkey.DURABLE, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")],
    ids=["nothing-kept", "synced-later", "evicting"],
)  # fmt: skip
async def test_a_server_that_may_forget_is_refused_unless_that_is_said(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with valkey.running(tmp_path, *options) as url:
        strict, loose = (open_limits(url + end, default=tmp_path / "guard.db") for end in ("", UNSAFE))
        with pytest.raises(StoreUnavailable, match="the server must run with"):
            await strict.spend((calls(fresh(), 1),), NOW, fresh())
        assert await allowed(loose, calls(fresh(), 1))
        await strict.close()
        await loose.close()
