"""Status lists over HTTP: cached, signed anew when something changed, as fresh in every process as promised."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from did_agent.adapters.sql import create_schema, open_database
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.status import decode_list, is_set
from did_agent.errors import KeysUnavailable, NotFound
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore, metadata
from issuer.service.office import Office
from issuer.service.places import BLOCK, MAX_KEPT
from issuer.service.status import PAGE, Statuses, StatusRoom
from issuer.status_lists import LIST_SIZE
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, ISSUER_URL, KEY, SilentNews, granted, issuer, onboard

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL


def office_on(engine: Any, **changes: Any) -> Office:
    settings: dict[str, Any] = {
        "store": SQLStore(engine),
        "news": SilentNews(),
        "key": KEY,
        "url": ISSUER_URL,
        "clock": lambda: NOW,
    }
    return Office(**settings | changes)


async def is_revoked(http: httpx2.AsyncClient, document: dict[str, Any]) -> bool:
    entry = parse_capability_credential(document).statuses[0]
    listed = (await http.get(entry.list_url)).json()["credentialSubject"]
    return is_set(decode_list(listed["encodedList"]), entry.index)


@pytest.mark.req("VCX-10")
async def test_a_list_is_cached_by_its_tag_and_comes_as_the_type_that_was_asked_for(database_url: str) -> None:
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        document = await granted(http, await onboard(http))
        url = parse_capability_credential(document).statuses[0].list_url
        first = await http.get(url)
        assert first.headers["content-type"] == "application/vc"
        for accept, media_type in (
            ("application/json", "application/json"),
            ("text/html, application/json;q=0.5", "application/json"),
            ("application/vc, application/json", "application/vc"),
            ("*/*", "application/vc"),
        ):
            answer = await http.get(url, headers={"Accept": accept})
            assert (answer.headers["content-type"], answer.content) == (media_type, first.content)
        tag = {"If-None-Match": first.headers["etag"]}
        for seconds in (0.5, 1, 14.9):
            moment[0] = NOW + timedelta(seconds=seconds)
            assert (await http.get(url, headers=tag)).status_code == 304
        moment[0] = NOW + timedelta(seconds=15)  # half of what others may keep it for
        anew = await http.get(url, headers=tag)
        assert (anew.status_code, anew.json()["validFrom"] > first.json()["validFrom"]) == (200, True)
        for path in ("revocation/99", "refresh/1", "revocation/0", "revocation/x", "revocation/1000000"):
            assert (await http.get(f"/status-lists/{path}")).status_code == 404


@pytest.mark.req("REV-01", "VCX-10")
async def test_a_flip_is_seen_at_once_where_it_was_made_and_within_a_second_elsewhere(database_url: str) -> None:
    moment = [NOW]
    async with (
        issuer(database_url, clock=lambda: moment[0]) as (here, _),
        issuer(database_url, clock=lambda: moment[0]) as (there, _),
    ):
        agent = await onboard(here)
        first, second = await granted(here, agent), await granted(there, agent)
        for document in (first, second):
            assert [await is_revoked(http, document) for http in (here, there)] == [False, False]
        body = {"reason": "because"}
        assert (await here.post(f"/credentials/{first['id']}/revoke", json=body, headers=ADMIN)).status_code == 200
        assert await is_revoked(here, first)
        assert not await is_revoked(there, first)
        moment[0] = NOW + timedelta(seconds=0.99)
        assert not await is_revoked(there, first)
        moment[0] = NOW + timedelta(seconds=1)
        assert [await is_revoked(there, document) for document in (first, second)] == [True, False]
        # A clock that goes back makes nothing fresh.
        assert (await here.post(f"/credentials/{second['id']}/revoke", json=body, headers=ADMIN)).status_code == 200
        moment[0] = NOW
        assert await is_revoked(there, second)


async def test_a_million_places_with_many_flips_are_read_in_pages_and_built_once(database_url: str) -> None:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    office = office_on(engine, list_size=1_048_576)
    places = list(await StatusRoom(office=office).take("home", PAGE * 2 + 1))
    assert len({place.index for place in places}) == len(places)
    number = places[0].list_number
    async with office.store.work() as work:
        await work.flip(places, "revocation", value=True)
    statuses = Statuses(office=office_on(engine))
    served = await asyncio.gather(*(statuses.serve("revocation", number) for _ in range(20)))
    assert all(one is served[0] for one in served)
    kept = statuses.office.lists.get(number)
    assert kept is not None
    assert sum(byte.bit_count() for byte in kept.bits.revocation) == len(places)
    assert all(is_set(bytes(kept.bits.revocation), place.index) for place in places)
    assert len(kept.bits.suspension) * 8 == 1_048_576
    await engine.dispose()


async def test_places_are_leased_in_blocks_and_shared_by_all_who_ask_at_once(database_url: str) -> None:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    offices = [office_on(engine), office_on(engine)]
    asked = (StatusRoom(office=office).take("home", count) for count in (1, 3, BLOCK, 2) for office in offices * 3)
    taken = [place for some in await asyncio.gather(*asked) for place in some]
    assert len({(place.list_number, place.index) for place in taken}) == len(taken) == 6 * (6 + BLOCK)
    assert {place.list_number for place in taken} == {1}
    rotated = office_on(engine, key=SigningKey.from_seed(b"r" * 32))
    assert (await StatusRoom(office=rotated).take("home"))[0].list_number != 1
    await engine.dispose()


@pytest.mark.req("VCX-10", "FCL")
async def test_a_list_whose_key_is_gone_is_not_signed_by_another(database_url: str) -> None:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    office = office_on(engine)
    number = (await StatusRoom(office=office).take("home"))[0].list_number
    assert (await Statuses(office=office).serve("suspension", number)).body
    with pytest.raises(KeysUnavailable):
        await Statuses(office=office_on(engine, key=SigningKey.from_seed(b"r" * 32))).serve("suspension", number)
    await engine.dispose()


@pytest.mark.req("LIM-01")
async def test_lists_in_memory_are_bounded_and_unknown_ones_leave_nothing(database_url: str) -> None:
    engine = open_database(database_url)
    await create_schema(engine, metadata)
    office = office_on(engine)
    statuses = Statuses(office=office)
    for number in (5, 6):
        with pytest.raises(NotFound):
            await statuses.serve("revocation", number)
    assert office.lists.get(5) is None
    async with office.store.work() as work:
        for number in range(MAX_KEPT + 2):
            await work.lease(f"o{number}", 1, issuer=office.did_of(f"o{number}"), size=LIST_SIZE, capacity=100)
    for number in range(1, MAX_KEPT + 3):
        await statuses.serve("revocation", number)
    kept = [number for number in range(1, MAX_KEPT + 3) if office.lists.get(number) is not None]
    assert kept == list(range(3, MAX_KEPT + 3))
    await engine.dispose()
