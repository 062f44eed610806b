"""What the store promises of status lists: no place twice, one row a flip, nothing missed by who follows versions."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from did_agent.adapters.sql import open_database
from did_agent.clock import numeric_date
from did_agent.errors import NotFound, StateConflict
from issuer.adapters.sql import SQLStore, metadata
from issuer.adapters.sql_status import _flips
from issuer.adapters.tables import grants
from issuer.model.status import Delegation, Flip, Lease, Place
from issuer.status_lists import LIST_SIZE

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Opened = Callable[[Any], Any]
SIZE = LIST_SIZE


async def leased(store: SQLStore, count: int, *, capacity: int = 100, issuer: str = "A") -> list[Lease]:
    async with store.work() as work:
        return list(await work.lease("home", count, issuer=issuer, size=SIZE, capacity=capacity))


def spans(leases: list[Lease]) -> list[tuple[int, int, int]]:
    return [(one.list_number, one.begin, one.end) for one in leases]


@pytest.mark.req("VCX-10")
async def test_places_come_once_and_a_full_list_is_followed_by_the_next(opened: Opened) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        first = spans(await leased(store, 60))[0][0]
        assert spans(await leased(store, 60)) == [(first, 60, 100), (first + 1, 0, 20)]
        everything = [place for one in await leased(store, 250) for place in one.places()]
        assert len({(place.list_number, place.index) for place in everything}) == 250
        assert all(0 <= place.index < SIZE for place in everything)
        with pytest.raises(NotFound):
            async with store.work() as work:
                given_up = list(await work.lease("home", 1, issuer="A", size=SIZE, capacity=100))
                raise NotFound("changed my mind")
        assert spans(await leased(store, 1)) == spans(given_up)


@pytest.mark.req("VCX-10")
async def test_each_organisation_and_each_key_has_lists_of_its_own(opened: Opened) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        (mine,) = await leased(store, 1)
        async with store.work() as work:
            (theirs,) = await work.lease("other", 1, issuer="B", size=SIZE, capacity=100)
            found = await work.status_list(theirs.list_number)
            assert found is not None
            assert (found.organisation, found.issuer, found.size) == ("other", "B", SIZE)
            assert await work.status_list(99) is None
        assert theirs.list_number != mine.list_number
        assert theirs.key != mine.key
        (rotated,) = await leased(store, 1, issuer="C")
        assert rotated.list_number not in (mine.list_number, theirs.list_number)
        async with store.work() as work:
            (larger,) = await work.lease("home", 1, issuer="C", size=SIZE * 8, capacity=100)
        assert (larger.list_number, larger.size) != (rotated.list_number, SIZE)


async def test_a_flip_is_one_row_that_knows_since_when_it_is_so(opened: Opened) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        (lease,) = await leased(store, 4)
        number = lease.list_number
        places = list(lease.places())
        assert store.flipped(number) == 0

        async def flip(purpose: Any, *which: int, value: bool = True) -> None:
            async with store.work() as work:
                await work.flip([places[one] for one in which], purpose, value=value)

        async def since(version: int) -> list[tuple[str, int, bool]]:
            async with store.work() as work:
                found = await work.flips(number, after=None, since=version, limit=10)
            return [(one.purpose, one.place, one.value) for one in found]

        await flip("suspension", 0, 1)
        await flip("revocation", 2)
        async with store.work() as work:
            seen = await work.list_version(number)
        assert seen == store.flipped(number) == 2
        assert len(await since(0)) == 3
        assert await since(seen) == []
        await flip("suspension", 0, value=False)
        await flip("revocation", 2)  # it is so already
        assert await since(seen) == [("suspension", places[0].index, False)]
        with pytest.raises(StateConflict):
            await flip("revocation", 2, value=False)
        async with store.work() as work:
            assert (await work._do.execute(select(func.count()).select_from(_flips))).scalar_one() == 3
            assert await work.list_version(99) == 0


async def test_pages_continue_inside_one_version(opened: Opened) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        (lease,) = await leased(store, 50)
        async with store.work() as work:
            await work.flip(list(lease.places()), "suspension", value=True)
        found: list[Flip] = []
        async with store.work() as work:
            while page := await work.flips(lease.list_number, after=found[-1] if found else None, since=0, limit=7):
                found += page
        assert {one.place for one in found} == {place.index for place in lease.places()}
        assert len(found) == 50


def grant_rows(places: list[Place], agent: str, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "organisation": "home",
            "id": f"urn:uuid:{agent}-{place.list_number}-{place.index}",
            "agent_id": agent,
            "did": f"did:key:{agent}",
            "document": "{}",
            "issued": numeric_date(NOW),
            "valid_until": numeric_date(NOW + timedelta(hours=1)),
            "list_number": place.list_number,
            "list_index": place.index,
        }
        | changes
        for place in places
    ]


@pytest.mark.req("REV-03")
async def test_suspending_agents_flips_their_live_credentials_in_every_list_and_back(opened: Opened) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        places = [place for one in await leased(store, 12, capacity=4) for place in one.places()]
        over = {"valid_until": numeric_date(NOW)}
        async with store.work() as work:
            for rows in (
                grant_rows(places[:6], "a"),
                grant_rows(places[6:9], "b"),
                grant_rows(places[9:10], "a2", agent_id="a", **over),
                grant_rows(places[10:11], "a3", agent_id="a", revoked=1),
                grant_rows(places[11:12], "a4", agent_id="a", suspended=1),
            ):
                await work._do.execute(insert(grants), rows)

        async def set_now() -> set[tuple[int, int]]:
            async with store.work() as work:
                rows = await work._do.execute(select(_flips).where(_flips.c.value == 1, _flips.c.purpose == 1))
                return {(row.list_number, row.place) for row in rows}

        async def change(*agents: str, suspended: bool) -> None:
            async with store.work() as work:
                await work.flip_agents(agents, suspended=suspended, now=NOW)

        def keys(some: list[Place]) -> set[tuple[int, int]]:
            return {(place.list_number, place.index) for place in some}

        await change("a", "nobody", suspended=True)
        itself = keys(places[11:12])  # suspended for itself: it does not come back with its agent
        assert await set_now() == keys(places[:6]) | itself
        await change("a", "b", suspended=True)
        assert await set_now() == keys(places[:9]) | itself
        await change("a", suspended=False)
        assert await set_now() == keys(places[6:9]) | itself


def delegation(number: int, parent: str, place: Place) -> Delegation:
    return Delegation(
        organisation="home",
        id=f"d{number}",
        agent_id="a",
        delegator="did:key:a",
        parent_id=parent,
        subject="did:key:b",
        subject_id="b",
        depth=1,
        max_depth=4,
        valid_until=NOW + timedelta(hours=1),
        place=place,
        created=NOW,
    )


@pytest.mark.req("DEL-10", "VCX-10")
async def test_the_end_of_a_parent_ends_the_whole_subtree_once_and_nothing_else(opened: Opened) -> None:
    parents = {1: "root", 2: "d1", 3: "d2", 4: "root", 5: "other", 6: "d5"}
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        (lease,) = await leased(store, 6)
        made = [delegation(number, parents[number], place) for number, place in enumerate(lease.places(), start=1)]
        async with store.work() as work:
            for one in made:
                assert await work.add_delegation(one)
            assert not await work.add_delegation(made[0])
            assert await work.delegation("d1", organisation="home") == made[0]
            assert await work.delegation("d1", organisation="other") is None
            assert await work.count_delegations("a", organisation="home", since=NOW - timedelta(days=1)) == 6
            assert await work.count_delegations("a", organisation="home", since=NOW) == 0
        async with store.work() as work:
            assert sorted(await work.revoke_delegations("d2", organisation="home", now=NOW)) == ["d2", "d3"]
        async with store.work() as work:
            assert await work.revoke_delegations("d2", organisation="other", now=NOW) == []
            assert sorted(await work.revoke_delegations("root", organisation="home", now=NOW)) == ["d1", "d4"]
            flips = await work.flips(lease.list_number, after=None, since=0, limit=10)
            assert {one.place for one in flips} == {made[index].place.index for index in (0, 1, 2, 3)}
            await work.flip_agents(["b"], suspended=True, now=NOW)
            flips = await work.flips(lease.list_number, after=None, since=2, limit=10)
            assert {one.place for one in flips} == {made[index].place.index for index in (4, 5)}


def lease_many(url: str, results: Any) -> None:
    async def work() -> list[tuple[int, int]]:
        engine = open_database(url)
        store, found = SQLStore(engine), list[tuple[int, int]]()
        for _ in range(40):
            for one in await leased(store, 125, capacity=3_000):
                found += [(place.list_number, place.index) for place in one.places()]
        await engine.dispose()
        return found

    results.put(asyncio.run(work()))


@pytest.mark.req("VCX-10")
async def test_two_processes_that_take_five_thousand_places_each_get_no_place_twice(
    opened: Opened, database_url: str
) -> None:
    async with opened(metadata):
        pass
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=lease_many, args=(database_url, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    places = [place for _ in workers for place in await asyncio.to_thread(results.get, timeout=60)]
    for worker in workers:
        worker.join()
    assert len(places) == len(set(places)) == 10_000


@pytest.mark.req("REV-01")
async def test_who_follows_versions_misses_nothing_of_eight_writers(opened: Opened, database_url: str) -> None:
    async with opened(metadata) as engine:
        store = SQLStore(engine)
        (lease,) = await leased(store, 96)
        places, seen, done = list(lease.places()), set[int](), asyncio.Event()

        async def write(writer: int) -> None:
            for place in places[writer * 12 : writer * 12 + 12]:
                async with store.work() as work:
                    await work.flip([place], "revocation", value=True)

        async def follow() -> None:
            version = 0
            while True:
                last = done.is_set()
                async with store.work() as work:
                    now = await work.list_version(lease.list_number)
                    seen.update(
                        one.place for one in await work.flips(lease.list_number, after=None, since=version, limit=1_000)
                    )
                version = now
                if last:
                    return
                await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        await asyncio.gather(*(write(writer) for writer in range(8)))
        done.set()
        await following
        assert seen == {place.index for place in places}
