"""did:web documents from a real server on loopback: brought once, kept for a bounded time, never stale, never another's."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from did_agent.adapters import did_web
from did_agent.adapters.did_web import MAX_DIDS, MAX_DOCUMENT, DIDWebResolver, life
from did_agent.adapters.http import GuardedFetcher
from did_agent.adapters.party import listen, serving
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key, resolve
from did_agent.errors import BadDID, KeysUnavailable, TooLarge
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.multikey import encode_multikey

KEY, OTHER = SigningKey.from_seed(b"1" * 32).public, SigningKey.from_seed(b"2" * 32).public
START = datetime(2026, 1, 1, tzinfo=UTC)


class Host:
    """A web server that publishes DID documents and counts how often it is asked."""

    def __init__(self, port: int) -> None:
        self.port, self.asked = port, 0
        self.answers: dict[str, Response] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    def did(self, path: str = "") -> str:
        return f"did:web:localhost%3A{self.port}{path}"

    def document(self, did: str, key: Any = KEY, **changes: Any) -> dict[str, Any]:
        method = {"id": f"{did}#k", "type": "Multikey", "controller": did, "publicKeyMultibase": encode_multikey(key)}
        return {"id": did, "verificationMethod": [method], "assertionMethod": [f"{did}#k"], **changes}

    def publish(
        self,
        path: str = "",
        *,
        media_type: str = "application/did+json",
        headers: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> str:
        did = self.did(path)
        self.answers[path] = JSONResponse(
            {**self.document(did), **changes}, media_type=media_type, headers=dict(headers or {})
        )
        return did

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        await self.gate.wait()
        path = request.url.path.removesuffix("/did.json")
        return self.answers.get("" if path == "/.well-known" else path.replace("/", ":"), Response(status_code=404))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    listener = listen("127.0.0.1", 0)
    found = Host(listener.getsockname()[1])
    async with serving([(Starlette(routes=[Route("/{path:path}", found.answer)]), listener)]):
        yield found
        found.gate.set()


class World:
    """A resolver, and the clock it looks at."""

    def __init__(self, **options: Any) -> None:
        self.now = START
        self.fetcher = GuardedFetcher(allow_loopback=True)
        self.resolver = DIDWebResolver(self.fetcher, clock=lambda: self.now, **{"allow_loopback": True, **options})

    async def get(self, *dids: str) -> Any:
        return await self.resolver.documents(dids)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    yield found
    await found.fetcher.aclose()


async def test_a_key_of_a_did_web_is_found_where_its_controller_published_it(host: Host, world: World) -> None:
    dids = [host.publish(), host.publish(":agents:a-1")]
    methods = [f"{did}#k" for did in dids]
    documents = await world.resolver.documents_for([*methods, verification_method(did_key(OTHER))])
    assert sorted(documents) == sorted(dids)
    for did, method in zip(dids, methods, strict=True):
        assert method_key(method, relationship="assertionMethod", documents=documents) == (did, KEY)
    assert host.asked == 2


@pytest.mark.parametrize(
    "media_type",
    ["application/did", "application/did+json", "application/did+ld+json", "application/json", "application/ld+json"],
)
async def test_every_media_type_of_a_document_is_read(host: Host, world: World, media_type: str) -> None:
    did = host.publish(media_type=media_type)
    assert (await world.get(did))[did].id == did


async def test_nothing_is_fetched_for_identifiers_that_say_everything_themselves(host: Host, world: World) -> None:
    assert await world.get(did_key(KEY)) == {}
    assert await world.resolver.documents_for([verification_method(did_key(KEY))]) == {}
    assert host.asked == 0


@pytest.mark.req("NET-08", "VCX-13")
async def test_a_document_is_fetched_once_however_many_wait_for_it(host: Host, world: World) -> None:
    did = host.publish()
    host.gate.clear()
    waiting = [asyncio.create_task(world.get(did)) for _ in range(20)]
    while not host.asked:
        await asyncio.sleep(0)
    waiting[0].cancel()
    host.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert all(documents[did].id == did for documents in found)
    assert host.asked <= 2  # once more at most, for the one that gave up
    await world.get(did)
    assert host.asked <= 2
    del waiting
    gc.collect()  # the frames of the one that gave up
    assert not world.resolver._locks


@pytest.mark.req("VCX-13")
async def test_a_withdrawn_key_counts_no_longer_than_the_cache_lives(host: Host, world: World) -> None:
    did = host.publish(headers={"Cache-Control": "max-age=60"})
    assert did in await world.get(did)
    host.answers[""] = JSONResponse(host.document(did, OTHER))
    world.now += timedelta(seconds=59)
    assert (await world.get(did))[did].methods[0].key == KEY
    world.now += timedelta(seconds=1)
    assert (await world.get(did))[did].methods[0].key == OTHER
    assert host.asked == 2


@pytest.mark.req("VCX-13", "NET-08")
@pytest.mark.parametrize("status", [404, 410, 500, 503])
async def test_nothing_stale_is_served_and_a_failure_is_not_repeated_at_once(
    host: Host, world: World, status: int
) -> None:
    did = host.publish()
    assert did in await world.get(did)
    host.answers[""] = Response(status_code=status)
    world.now += did_web.MAX_LIFE
    for _ in range(3):
        documents = await world.get(did)
        assert documents == {}
        with pytest.raises(KeysUnavailable):
            resolve(did, documents)
    assert host.asked == 2
    host.publish()
    world.now += did_web.FAILURE_LIFE - timedelta(seconds=1)
    assert await world.get(did) == {}
    world.now += timedelta(seconds=1)
    assert did in await world.get(did)
    assert host.asked == 3


@pytest.mark.req("VCX-04", "VCX-13")
async def test_a_host_speaks_for_its_own_identifiers_alone(host: Host, world: World) -> None:
    victim = host.publish(":victim")
    elsewhere = ("did:web:issuer.example", did_key(KEY), host.did(), host.did(":evil2"), victim, "x", None, 1)
    for number, claimed in enumerate(elsewhere):
        did = host.publish(f":evil:{number}", **host.document(host.did(":evil")) | {"id": claimed})
        assert await world.get(did) == {}
    assert list(await world.get(victim)) == [victim]
    other = f"did:web:127.0.0.1%3A{host.port}"
    with pytest.raises(BadDID):
        await world.get(other)


@pytest.mark.req("VCX-13", "NET-04", "NET-05", "NET-06")
async def test_a_document_that_is_no_plain_small_json_is_not_taken(host: Host, world: World) -> None:
    good = host.publish(":good")
    did = host.did(":x")
    published = host.document(did)
    bad = (
        RedirectResponse("/good/did.json"),
        JSONResponse(published, media_type="text/html"),
        JSONResponse(published, media_type="application/jwt"),
        JSONResponse(published, headers={"Content-Encoding": "gzip"}),
        JSONResponse(published, status_code=201),
        JSONResponse({**published, "note": "x" * MAX_DOCUMENT}),
        JSONResponse([published]),
        Response('{"id":"a","id":"b"}', media_type="application/did+json"),
        Response(b"", media_type="application/did+json"),
        JSONResponse({**published, "verificationMethod": published["verificationMethod"] * 2}),
        JSONResponse({**published, "assertionMethod": {}}),
    )
    for answer in bad:
        host.answers[":x"] = answer
        world.now += did_web.FAILURE_LIFE
        assert await world.get(did) == {}
    host.publish(":x")
    world.now += did_web.FAILURE_LIFE
    assert sorted(await world.get(did, good)) == sorted([did, good])


@pytest.mark.req("VCX-13", "NET-01")
async def test_this_machine_is_asked_only_where_that_is_allowed(host: Host) -> None:
    did = host.publish()
    for options in ({"allow_loopback": False},):
        strict = World(**options)
        with pytest.raises(BadDID):
            await strict.get(did)
    guarded = DIDWebResolver(GuardedFetcher(allow_loopback=False), clock=lambda: START, allow_loopback=True)
    assert await guarded.documents([did]) == {}
    assert host.asked == 0


@pytest.mark.req("VCX-13")
async def test_only_hosts_on_the_list_are_asked_when_there_is_one(host: Host) -> None:
    did = host.publish()
    listed, unlisted = World(allowed_hosts=[f"localhost:{host.port}"]), World(allowed_hosts=["localhost"])
    assert did in await listed.get(did)
    assert await unlisted.get(did) == {}
    assert host.asked == 1
    await listed.fetcher.aclose()


@pytest.mark.req("NET-08", "VCX-13")
async def test_a_host_is_not_hammered_through_us(host: Host, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(did_web, "MAX_PER_HOST", 5)
    first = host.publish(":0")
    for number in range(8):
        await world.get(host.did(f":{number}"))
    assert host.asked == 5
    assert first in await world.get(first)  # what is at hand stays at hand
    world.now += did_web.WINDOW
    await world.get(host.did(":9"))
    assert host.asked == 6
    monkeypatch.setattr(did_web, "MAX_FETCHES", 1)
    await world.get(host.did(":10"))
    assert host.asked == 6


@pytest.mark.req("VCX-13")
async def test_what_is_kept_and_what_is_asked_at_once_is_bounded(
    host: Host, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(did_web, "MAX_DOCUMENTS", 2)
    dids = [host.publish(f":{number}") for number in range(3)]
    assert len(await world.get(*dids)) == 3
    assert len(world.resolver._entries) == 2
    with pytest.raises(TooLarge):
        await world.get(*(host.did(f":{number}") for number in range(MAX_DIDS + 1)))
    with pytest.raises(BadDID):
        await world.resolver.documents_for(["did:example:1#k"])
    assert host.asked == 3


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 300),
        ("public", 300),
        ("max-age=60", 60),
        ("public, max-age=60", 60),
        ("Max-Age=60", 60),
        ('max-age="60"', 60),
        ("max-age=0", 30),
        ("max-age=29", 30),
        ("max-age=600", 300),
        ("max-age=999999999", 300),
        ("max-age=99999999999999999999", 30),
        ("max-age=-1", 30),
        ("s-maxage=60", 300),
        ("no-store", 30),
        ("no-cache, max-age=200", 30),
        ("max-age=200, no-store", 30),
    ],
)
def test_a_host_says_how_long_within_our_bounds(cache_control: str, seconds: int) -> None:
    assert life(cache_control) == timedelta(seconds=seconds)
