"""A sender that is slow on purpose loses its connection; one that is only idle or busy keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.adapters import party
from did_agent.adapters.party import listen, serving
from did_agent.adapters.web import harden
from did_agent.errors import Misconfigured

SOON = 0.05  # s
LONGER = 30  # s until a test that hangs is a failure


class Server:
    """A hardened server on loopback, whose answer to /wait the test releases."""

    def __init__(self) -> None:
        self.port = 0
        self.release = asyncio.Event()
        self.entered = asyncio.Event()

    def app(self) -> object:
        async def here(request: Request) -> Response:
            return JSONResponse({"length": len(await request.body())})

        async def wait(_request: Request) -> Response:
            self.entered.set()
            await self.release.wait()
            return JSONResponse({})

        routes = [Route("/here", here, methods=["GET", "POST"]), Route("/wait", wait)]
        return harden(Starlette(routes=routes), max_body=1_000)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(party, "SENDING_TIMEOUT", SOON)
    found = Server()
    listener = listen("127.0.0.1", 0)
    found.port = listener.getsockname()[1]
    async with serving([(found.app(), listener)]):
        yield found


async def answered(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONGER)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await asyncio.wait_for(reader.readexactly(length), LONGER)


async def is_closed(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionResetError):
        while await asyncio.wait_for(reader.read(65_536), LONGER):
            pass
    return True


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize("start", [b"", b"GET /he", b"GET /here HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_half_a_header_does_not_hold_its_connection(server: Server, start: bytes) -> None:
    reader, writer = await server.connect()
    writer.write(start)
    assert await is_closed(reader)
    writer.close()


@pytest.mark.req("LIM-01")
async def test_a_header_that_comes_byte_by_byte_gets_no_more_time_for_it(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /here HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    closed = asyncio.create_task(is_closed(reader))
    while not closed.done():
        writer.write(b"x")
        await asyncio.wait({closed}, timeout=SOON / 10)
    assert closed.result()
    writer.close()


@pytest.mark.req("LIM-01")
async def test_the_rest_of_a_refused_body_is_not_waited_for(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"POST /here HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    assert b" 413 " in await answered(reader)
    closed = asyncio.create_task(is_closed(reader))
    while not closed.done():
        writer.write(b"x")
        await asyncio.wait({closed}, timeout=SOON / 10)
    assert closed.result()
    writer.close()


async def test_a_slow_answer_and_an_idle_connection_are_not_a_slow_sender(server: Server) -> None:
    reader, writer = await server.connect()
    get = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
    writer.write(get % b"wait")
    await asyncio.wait_for(server.entered.wait(), LONGER)
    slower, other = await server.connect()  # a whole limit passes while this one is being given up
    assert await is_closed(slower)
    server.release.set()
    assert b" 200 " in await answered(reader)
    slower, another = await server.connect()
    assert await is_closed(slower)
    writer.write(get % b"here")
    assert b" 200 " in await answered(reader)
    for each in (writer, other, another):
        each.close()


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /here HTTP/1.1\r\n\r\n",
        b"GET /here HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /here HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST /here HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /here HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"GET /here HTTP/1.1\r\nHost: a\r\nX-Bare: a\nInjected: b\x00\r\n\r\n",
    ],
)
async def test_a_request_two_servers_could_read_differently_is_refused(server: Server, request_head: bytes) -> None:
    reader, writer = await server.connect()
    with suppress(ConnectionResetError, BrokenPipeError):
        writer.write(request_head)
        await writer.drain()
    with suppress(ConnectionResetError):
        assert b" 400 " in await asyncio.wait_for(reader.readline(), LONGER)
    writer.close()


async def test_the_server_does_not_say_what_it_is(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"server:" not in (await answered(reader)).lower()
    writer.close()


async def test_a_port_that_is_taken_is_named(server: Server) -> None:
    with pytest.raises(Misconfigured, match=str(server.port)):
        listen("127.0.0.1", server.port)


async def test_a_party_that_does_not_start_stops_the_others() -> None:
    async def broken(_scope: object, receive: object, send: object) -> None:
        await receive()  # type: ignore[operator]
        await send({"type": "lifespan.startup.failed", "message": "no key"})  # type: ignore[operator]

    healthy, ill = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    port = healthy.getsockname()[1]
    with pytest.raises(Misconfigured, match="did not start"):
        async with serving([(Server().app(), healthy), (broken, ill)]):
            pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
