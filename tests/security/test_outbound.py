"""Outbound HTTP: what others wrote down is fetched only from public places, bounded, and never followed elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from did_agent.adapters import http
from did_agent.adapters.http import GuardedFetcher, is_public
from did_agent.adapters.party import listen, serving
from did_agent.adapters.status import StatusLists
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import DidAgentError, Malformed, NotJSON, PeerUnavailable, StatusUnavailable


@pytest.mark.req("NET-03")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a01:203", "2002:7f00:1::", "2001:0:7f00:1::80ff:fffe", "not an address", "",
    ],
)  # fmt: skip
def test_no_address_of_ours_is_public(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are() -> None:
    assert is_public("8.8.8.8")
    assert is_public("2606:4700:4700::1111")


@pytest.mark.req("NET-01", "NET-02", "LLM-08")
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https://user@example.com/",
        "https://user:secret@example.com/", "https://example.com:22/", "https://example.com:99999/",
        "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0/", "https://127.0.0.1/",
        "https://[::1]/", "https://localhost/", "https://\u24db\u24defcalhost/", "https://example.com#x",
        "https://exa mple.com/", "https://", "", "https://a..b/", "https://example.com.:443x/",
    ],
)  # fmt: skip
async def test_odd_urls_are_not_even_looked_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> Any:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(http, "_resolve", never)
    with pytest.raises((PeerUnavailable, Malformed)):
        await GuardedFetcher(allow_loopback=False).get_json(url)


@pytest.mark.req("NET-03")
async def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object, **__: object) -> Any:
        return [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)
    with pytest.raises(PeerUnavailable, match="public addresses alone"):
        await http._resolve("rebound.example", 443)


async def big(_request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"a":"'
        for _ in range(40):
            yield b"x" * 65_536
        yield b'"}'

    return StreamingResponse(chunks(), media_type="application/json")


async def slow(_request: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


class Places:
    """A server on loopback with everything a hostile publisher might answer."""

    def __init__(self) -> None:
        self.followed = 0
        self.base = ""

    def app(self) -> Starlette:
        async def here(_request: Request) -> Response:
            return JSONResponse({"ok": True})

        async def followed(_request: Request) -> Response:
            self.followed += 1
            return JSONResponse({"ok": True})

        async def redirect(_request: Request) -> Response:
            return RedirectResponse("/followed")

        async def html(_request: Request) -> Response:
            return Response("<p>", media_type="text/html")

        async def twice(_request: Request) -> Response:
            return Response('{"a":1,"a":2}', media_type="application/json")

        async def zipped(_request: Request) -> Response:
            return Response(b"x", media_type="application/json", headers={"Content-Encoding": "gzip"})

        async def away(_request: Request) -> Response:
            return Response("database password: hunter2", status_code=500, media_type="application/json")

        table = {
            "/here": here, "/followed": followed, "/redirect": redirect, "/html": html, "/twice": twice,
            "/zipped": zipped, "/away": away, "/big": big, "/slow": slow,
        }  # fmt: skip
        return Starlette(routes=[Route(path, endpoint) for path, endpoint in table.items()])


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    found = Places()
    listener = listen("127.0.0.1", 0)
    found.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving([(found.app(), listener)]):
        yield found


@pytest.mark.req("NET-04", "NET-05", "NET-06", "NET-09")
async def test_a_hostile_publisher_gets_a_bounded_no(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = GuardedFetcher(allow_loopback=True)
    assert await fetcher.get_json(places.base + "/here") == {"ok": True}
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.3)
    for path in ("/redirect", "/html", "/zipped", "/big", "/slow", "/away", "/nowhere"):
        with pytest.raises(PeerUnavailable) as refused:
            await fetcher.get_json(places.base + path)
        assert "hunter2" not in str(refused.value)
    monkeypatch.undo()
    with pytest.raises(DidAgentError):
        await fetcher.get_json(places.base + "/twice")
    assert places.followed == 0
    with pytest.raises(PeerUnavailable):
        await GuardedFetcher(allow_loopback=False).get_json(places.base + "/here")
    await fetcher.aclose()


@pytest.mark.req("VCX-10", "NET-08")
async def test_a_status_list_that_can_not_be_had_is_no_answer_and_is_not_asked_for_again_at_once() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)

    class Away:
        asked = 0

        async def get_json(self, url: str) -> Any:
            self.asked += 1
            raise NotJSON(url)

    source = Away()
    moment = [now]
    lists = StatusLists(source, trusted=TrustedIssuers.of(), max_age=timedelta(seconds=30), clock=lambda: moment[0])
    for _ in range(3):
        with pytest.raises(StatusUnavailable):
            await lists.get(["https://issuer.example/1"])
    assert source.asked == 1
    moment[0] += timedelta(seconds=6)
    with pytest.raises(StatusUnavailable):
        await lists.get(["https://issuer.example/1"])
    assert source.asked == 2
    assert await lists.get([]) == {}
