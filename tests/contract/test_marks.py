"""One suite for every store of marks: looking and marking is one step, for all processes that share it."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.errors import StoreUnavailable
from did_agent.policy.descoping import Mark
from tests.fakes import valkey
from verifier.adapters.limits import UNSAFE
from verifier.adapters.marks import open_marks
from verifier.marks import Marked

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
NO_VALKEY = pytest.mark.skipif(valkey.is_missing(), reason=valkey.REASON)
NO_POSTGRES = pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")


@pytest.fixture(scope="module")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey.running(tmp_path_factory.mktemp("valkey"), *valkey.DURABLE) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=NO_POSTGRES), pytest.param("valkey", marks=NO_VALKEY)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'marks.db'}"
    return str(POSTGRES) if request.param == "postgres" else str(request.getfixturevalue("valkey_url"))


@pytest.fixture
async def stores(url: str, tmp_path: Path) -> AsyncIterator[list[Any]]:
    """Two, as two processes have them."""
    found = [open_marks(url, default=tmp_path / "guard.db") for _ in range(2)]
    yield found
    for one in found:
        await one.close()


def key() -> str:
    return uuid.uuid4().hex


def mark(name: str, seconds: int = 60) -> Mark:
    return Mark(key=name, until=NOW + timedelta(seconds=seconds))


async def claim(store: Any, looked: list[str], marks: list[Mark], now: datetime = NOW) -> Any:
    return await store.claim(looked, marks, now=now, by=uuid.uuid4().hex)


async def test_a_mark_stands_until_its_end_for_everybody(stores: list[Any]) -> None:
    one, other, name = *stores, key()
    assert isinstance(await claim(other, [name], []), Marked)
    assert isinstance(await claim(one, [], [mark(name)]), Marked)
    assert await claim(other, [key(), name], []) == name
    assert await claim(other, [name], [], NOW + timedelta(seconds=59)) == name
    assert isinstance(await claim(other, [name], [], NOW + timedelta(seconds=60)), Marked)


async def test_a_refused_call_marks_nothing(stores: list[Any]) -> None:
    one, other, stands, never = *stores, key(), key()
    await claim(one, [], [mark(stands)])
    assert await claim(one, [stands], [mark(never)]) == stands
    assert isinstance(await claim(other, [never], []), Marked)


async def test_a_shorter_mark_never_shortens_a_longer_one(stores: list[Any]) -> None:
    one, other, name = *stores, key()
    await claim(one, [], [mark(name, 60)])
    taken = await claim(other, [], [mark(name, 30)])
    assert taken.before == ()
    await other.release(taken)
    assert await claim(one, [name], [], NOW + timedelta(seconds=50)) == name


async def test_what_was_not_done_leaves_what_stood_before(stores: list[Any]) -> None:
    one, other, name = *stores, key()
    first = await claim(one, [], [mark(name, 30)])
    second = await claim(other, [], [mark(name, 60)])
    await other.release(second)
    assert await claim(one, [name], [], NOW + timedelta(seconds=29)) == name
    assert isinstance(await claim(one, [name], [], NOW + timedelta(seconds=31)), Marked)
    await one.release(first)
    assert isinstance(await claim(one, [name], []), Marked)


async def test_nobody_takes_back_what_another_call_marked_since(stores: list[Any]) -> None:
    one, other, name = *stores, key()
    first = await claim(one, [], [mark(name, 30)])
    await claim(other, [], [mark(name, 60)])
    await one.release(first)
    await one.release(first)
    assert await claim(one, [name], []) == name


@pytest.mark.req("POL-03")
async def test_of_calls_that_exclude_each_other_one_passes(stores: list[Any]) -> None:
    for _ in range(20):
        left, right = key(), key()
        outcomes = await asyncio.gather(
            claim(stores[0], [right], [mark(left)]), claim(stores[1], [left], [mark(right)])
        )
        assert sum(isinstance(outcome, Marked) for outcome in outcomes) == 1


@pytest.mark.req("POL-03")
async def test_of_many_calls_that_may_happen_once_one_passes(stores: list[Any]) -> None:
    name = key()
    outcomes = await asyncio.gather(*(claim(stores[number % 2], [name], [mark(name)]) for number in range(40)))
    assert sum(isinstance(outcome, Marked) for outcome in outcomes) == 1


async def test_a_closed_store_opens_again(stores: list[Any]) -> None:
    one, _, name = *stores, key()
    await claim(one, [], [mark(name)])
    await one.close()
    assert await claim(one, [name], []) == name


async def test_what_cannot_be_marked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = open_marks(f"sqlite:///{tmp_path}/file/marks.db", default=tmp_path)
    with pytest.raises(StoreUnavailable):
        await claim(nowhere, [], [mark(key())])
    elsewhere = open_marks("valkey://127.0.0.1:1", default=tmp_path)
    with pytest.raises(StoreUnavailable):
        await claim(elsewhere, [], [mark(key())])
    await elsewhere.close()
    gone = open_marks("postgresql://127.0.0.1:9/nothing", default=tmp_path)
    with pytest.raises(StoreUnavailable):
        await claim(gone, [], [mark(key())])


@NO_VALKEY
async def test_a_server_that_may_forget_is_taken_only_when_that_is_said(tmp_path: Path) -> None:
    with valkey.running(tmp_path) as url:
        forgetful, known = open_marks(url, default=tmp_path), open_marks(url + UNSAFE, default=tmp_path)
        with pytest.raises(StoreUnavailable):
            await claim(forgetful, [], [mark(key())])
        assert isinstance(await claim(known, [], [mark(key())]), Marked)
        await forgetful.close()
        await known.close()


async def test_the_file_of_the_guard_is_used_where_nothing_is_said(tmp_path: Path) -> None:
    store, name = open_marks(None, default=tmp_path / "guard.db"), key()
    assert not (tmp_path / "guard.db").exists()
    await claim(store, [], [mark(name)])
    await store.close()
    assert (tmp_path / "guard.db").exists()
