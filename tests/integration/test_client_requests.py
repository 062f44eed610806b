"""How the clients ask: again where that is harmless, page by page, and from programs without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.client.blocking import blocking, iterating
from did_agent.client.errors import ServerRefused
from did_agent.client.paging import pages
from did_agent.client.retrying import IDEMPOTENCY_KEY, Retries
from did_agent.client.wire import send
from did_agent.errors import PeerUnavailable
from tests.fakes.serving_thread import Listener, served


class Party:
    """Answers with what is left of its list, then with the last of it for ever."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.asked = list(answers), list[Request]()

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def party(*answers: Response) -> Iterator[tuple[Party, str]]:
    made, listener = Party(*answers), Listener()
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "POST"])])
    with served([(app, listener)]):
        yield made, listener.url


def busy(status: int = 503, **headers: str) -> Response:
    return JSONResponse(
        {"code": "unavailable"}, status_code=status, headers={k.replace("_", "-"): headers[k] for k in headers}
    )


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_only_reads_is_asked_again_of_a_party_that_is_busy(status: int) -> None:
    with party(busy(status), busy(status), JSONResponse({"found": 1})) as (made, url):
        assert await send("issuer", url, "GET", "/agents") == {"found": 1}
    assert len(made.asked) == 3


async def test_patience_ends_after_the_third_time_and_where_a_party_asks_for_too_much_of_it() -> None:
    with party(busy()) as (made, url):
        with pytest.raises(PeerUnavailable):
            await send("issuer", url, "GET", "/agents")
        assert len(made.asked) == 3
    with party(busy(retry_after="3600"), JSONResponse({})) as (made, url):
        with pytest.raises(PeerUnavailable):
            await send("issuer", url, "GET", "/agents")
        assert len(made.asked) == 1


async def test_what_writes_is_sent_once_unless_it_names_its_key() -> None:
    with party(busy(), JSONResponse({"made": 1})) as (made, url):
        with pytest.raises(PeerUnavailable):
            await send("issuer", url, "POST", "/agents", json={})
        assert len(made.asked) == 1
    with party(busy(), JSONResponse({"made": 1})) as (made, url):
        assert await send("issuer", url, "POST", "/agents", json={}, headers={IDEMPOTENCY_KEY: "k1"}) == {"made": 1}
    assert [request.headers[IDEMPOTENCY_KEY] for request in made.asked] == ["k1", "k1"]


async def test_a_refusal_is_final() -> None:
    with party(JSONResponse({"code": "not_found"}, status_code=404)) as (made, url), pytest.raises(ServerRefused):
        await send("issuer", url, "GET", "/agents/x")
    assert len(made.asked) == 1


def test_waits_double_and_spread() -> None:
    retries = Retries(attempts=4, first=0.1)
    first = [retries.wait(1, None) for _ in range(50)]
    third = [retries.wait(3, None) for _ in range(50)]
    assert all(wait is not None and 0.05 <= wait <= 0.1 for wait in first)
    assert all(wait is not None and 0.2 <= wait <= 0.4 for wait in third)
    assert len(set(first)) > 1
    assert retries.wait(4, None) is None
    assert retries.wait(1, httpx2.Response(400)) is None
    assert (retries.wait(1, httpx2.Response(503, headers={"Retry-After": "2"})) or 0) >= 2


class Numbers:
    """An async client of a list."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def count(self, *, of: str) -> int:
        """Return a number."""
        await asyncio.sleep(0)
        return len(of)

    def all(self, *, kind: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield every number."""
        return pages(self._page, "numbers", {"kind": kind})

    async def _page(self, query: dict[str, str]) -> dict[str, Any]:
        return await send("issuer", self.url, "GET", "/numbers", params=query)


class BlockingNumbers:
    """The same without an event loop."""

    def __init__(self, url: str) -> None:
        self.client = Numbers(url)

    count = blocking(Numbers.count)
    all = iterating(Numbers.all)


def a_list() -> tuple[Response, ...]:
    return (
        JSONResponse({"numbers": [{"n": 1}, {"n": 2}], "next": "c1"}),
        JSONResponse({"numbers": [{"n": 3}], "next": None}),
    )


async def test_a_list_is_read_page_by_page_with_the_same_question() -> None:
    with party(*a_list()) as (made, url):
        assert [found["n"] async for found in Numbers(url).all(kind="odd")] == [1, 2, 3]
    assert [dict(request.query_params) for request in made.asked] == [{"kind": "odd"}, {"kind": "odd", "after": "c1"}]


def test_a_program_without_an_event_loop_has_the_same_methods() -> None:
    with party(*a_list()) as (made, url):
        numbers = BlockingNumbers(url)
        assert numbers.count(of="abc") == 3
        found = numbers.all()
        assert next(found) == {"n": 1}
        assert len(made.asked) == 1, "a page is asked for when it is needed"
        assert [one["n"] for one in found] == [2, 3]
    assert BlockingNumbers.count.__doc__ == "Return a number."


async def test_a_blocking_client_works_inside_another_event_loop_too() -> None:
    with party(*a_list()) as (_, url):
        assert [one["n"] for one in await asyncio.to_thread(list, BlockingNumbers(url).all())] == [1, 2, 3]
