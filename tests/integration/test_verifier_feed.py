"""The guard's ear: whatever a bridge answers, it goes on listening, and silence for too long admits nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from did_agent.errors import DidAgentError, Revoked, StatusUnavailable, Suspended, WrongKey
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.tokens.security_event import EventKind, SecurityEvent, sign_event
from tests.fakes.guard_world import AGENT, BRIDGE_KEY, NOW, OTHER
from verifier.adapters import feed as module
from verifier.adapters.feed import STALENESS, RevocationFeed

Raw = tuple[int, bytes]


@dataclass
class Bridge:
    """An HTTP server with the feed of a bridge, which says what a test wants it to."""

    url: str = ""
    sets: list[str] = field(default_factory=list)
    strange: list[Raw] = field(default_factory=list)  # answered first
    asked: list[dict[str, str]] = field(default_factory=list)
    now: datetime = NOW
    silent: bool = False

    async def find(self, kid: object) -> PublicKey:
        if kid != "k":
            raise WrongKey("no such key")
        return BRIDGE_KEY.public

    def says(self, kind: EventKind, subject: str, *, key: SigningKey = BRIDGE_KEY, **changes: Any) -> str:
        values: dict[str, Any] = {"issuer": self.url, "audience": self.url, "issued_at": self.now, **changes}
        event = SecurityEvent(id=f"e{len(self.sets)}-{kind}", kind=kind, subject=subject, reason="test", **values)
        return sign_event(event, key=key, kid="k")

    def tell(self, kind: EventKind, subject: str, **changes: Any) -> None:
        self.sets.append(self.says(kind, subject, **changes))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked over one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                query = urlsplit(head.split(b" ")[1].decode()).query
                asked = {name: values[0] for name, values in parse_qs(query).items()}
                self.asked.append(asked)
                await asyncio.sleep(0.005)  # a question is kept open for longer than this, but not in a test
                while self.silent:
                    await asyncio.sleep(0.01)
                status, body = self.strange.pop(0) if self.strange else (200, self._answer(int(asked["after"])))
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    def _answer(self, after: int) -> bytes:
        return answer(self.sets[after:], cursor=len(self.sets))


def answer(sets: list[str], *, cursor: object) -> bytes:
    return json.dumps({"sets": [{"set": text} for text in sets], "cursor": cursor}).encode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.01)


@asynccontextmanager
async def bridge(at: Bridge | None = None, port: int = 0) -> AsyncIterator[Bridge]:
    at = at or Bridge()
    connections: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        await at.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    at.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield at
    finally:
        at.silent = False
        server.close()
        for writer in connections:
            writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def listening(at: Bridge) -> AsyncIterator[RevocationFeed]:
    feed = RevocationFeed(at.url, at, clock=lambda: at.now)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
        assert not task.done()  # whatever it heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def heard(at: Bridge) -> None:
    """Wait until everything there is was heard: the next question says so."""
    await until(lambda: bool(at.asked) and at.asked[-1]["after"] == str(len(at.sets)) and not at.strange)
    asked = len(at.asked)
    await until(lambda: len(at.asked) > asked)


async def refusal(feed: RevocationFeed, *ids: str, now: datetime = NOW) -> type[DidAgentError] | None:
    try:
        await feed.require_live(ids, now)
    except DidAgentError as error:
        return type(error)
    return None


STRANGE: dict[str, Callable[[Bridge], Raw]] = {
    "an error": lambda _at: (500, b""),
    "a redirect": lambda _at: (302, b""),
    "no JSON": lambda _at: (200, b"<html>"),
    "no UTF-8": lambda _at: (200, b'{"sets": ["\xff"], "cursor": 1}'),
    "an array": lambda _at: (200, b"[]"),
    "nothing": lambda _at: (200, b""),
    "a member twice": lambda _at: (200, b'{"sets": [], "sets": [], "cursor": 9}'),
    "too much": lambda _at: (200, b" " * 1_100_000),
    "no cursor": lambda _at: (200, b'{"sets": []}'),
    "a cursor of another type": lambda _at: (200, answer([], cursor="1")),
    "a cursor that goes back": lambda _at: (200, answer([], cursor=-1)),
    "sets of another type": lambda _at: (200, b'{"sets": {}, "cursor": 1}'),
    "a set of another type": lambda _at: (200, b'{"sets": ["x", null, 1], "cursor": 1}'),
    "no JWT": lambda _at: (200, answer(["x.y"], cursor=1)),
    "a signature by somebody else": lambda at: (200, answer([_by_another(at)], cursor=1)),
    "another issuer": lambda at: (200, answer([_changed(at, issuer="https://other.example")], cursor=1)),
    "another audience": lambda at: (200, answer([_changed(at, audience="https://other.example")], cursor=1)),
    "an unknown kind": lambda at: (200, answer([at.says("agent-exploded", AGENT)], cursor=1)),  # type: ignore[arg-type]
    "an event from the future": lambda at: (200, answer([_changed(at, issued_at=NOW + timedelta(hours=1))], cursor=1)),
}


def _by_another(at: Bridge) -> str:
    return at.says("agent-resumed", AGENT, key=SigningKey.from_seed(b"o" * 32))


def _changed(at: Bridge, **changes: Any) -> str:
    return at.says("agent-resumed", AGENT, **changes)


@pytest.mark.req("REV-01", "REV-02", "NET-06")
@pytest.mark.parametrize("kind", STRANGE)
async def test_a_strange_answer_counts_for_nothing_and_the_next_good_one_is_heard(kind: str) -> None:
    async with bridge() as at:
        at.tell("agent-suspended", AGENT)
        async with listening(at) as feed:
            await heard(at)
            assert await refusal(feed, AGENT) is Suspended
            at.strange.append(STRANGE[kind](at))
            await until(lambda: not at.strange)
            asked = len(at.asked)
            at.tell("credential-revoked", "urn:uuid:1")
            await until(lambda: len(at.asked) > asked)
            await heard(at)
            # It did not move on over what it could not read: the question was the same as before.
            assert await refusal(feed, AGENT) is Suspended
            assert await refusal(feed, "urn:uuid:1") is Revoked
            assert await refusal(feed, OTHER) is None


@pytest.mark.req("REV-02")
async def test_answers_that_cannot_be_read_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    async with bridge() as at, listening(at) as feed:
        await heard(at)
        at.strange += [STRANGE["an event from the future"](at)] * 3
        at.now = NOW + timedelta(seconds=10)
        await until(lambda: len(at.strange) < 3)
        age = feed.age(NOW + STALENESS + timedelta(seconds=1))
        assert age is not None
        assert age > STALENESS.total_seconds()  # what could not be read made nothing newer
        assert await refusal(feed, OTHER, now=NOW + STALENESS) is None
        assert await refusal(feed, OTHER, now=NOW + STALENESS + timedelta(seconds=1)) is StatusUnavailable
        await until(lambda: not at.strange)
        await until(lambda: feed.age(at.now) == 0)
        assert await refusal(feed, OTHER, now=at.now + STALENESS) is None
    assert "NotYetValid" in caplog.text


@pytest.mark.req("REV-01")
async def test_what_a_newer_bridge_tells_does_not_keep_the_rest_from_being_heard() -> None:
    async with bridge() as at, listening(at) as feed:
        at.tell("credential-revoked", "urn:uuid:1")
        at.tell("agent-exploded", AGENT)  # type: ignore[arg-type]
        at.tell("agent-retired", OTHER)
        await heard(at)
        assert await refusal(feed, "urn:uuid:1") is Revoked
        assert await refusal(feed, OTHER) is Revoked
        assert await refusal(feed, AGENT) is None


@pytest.mark.req("REV-01")
@pytest.mark.parametrize("error", [ValueError("any"), KeyError("any"), RecursionError("any"), OSError("any")])
async def test_no_error_of_any_kind_ends_the_listening(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bridge() as at, listening(at) as feed:
        await heard(at)
        with monkeypatch.context() as patch:

            def fail(*_arguments: object, **_named: object) -> None:
                raise error

            patch.setattr(module, "parse_object", fail)
            at.tell("agent-retired", AGENT)
            asked = len(at.asked)
            await until(lambda: len(at.asked) > asked + 1)
        await heard(at)
        assert await refusal(feed, AGENT) is Revoked


@pytest.mark.req("REV-01", "REV-02")
async def test_a_bridge_that_goes_away_and_comes_back_is_heard_again() -> None:
    at = Bridge()
    async with bridge(at):
        port = urlsplit(at.url).port or 0
        feed = RevocationFeed(at.url, at, clock=lambda: at.now)
        task = asyncio.create_task(feed.run())
        await heard(at)
    try:
        at.tell("token-revoked", "jti-1")
        await asyncio.sleep(0.05)  # nobody is there
        assert await refusal(feed, "jti-1") is None  # not heard yet, and not silent for too long
        async with bridge(at, port):
            await heard(at)
            assert await refusal(feed, "jti-1") is Revoked
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


ORDERS: list[tuple[list[EventKind], type[DidAgentError] | None]] = [
    (["agent-suspended"], Suspended),
    (["agent-suspended", "agent-resumed"], None),
    (["agent-suspended", "agent-suspended", "agent-resumed"], None),
    (["agent-resumed"], None),
    (["agent-resumed", "agent-suspended"], Suspended),  # the bridge's order counts, which is that of the issuer
    (["agent-suspended", "agent-resumed", "agent-suspended"], Suspended),
    (["agent-retired"], Revoked),
    (["agent-retired", "agent-resumed"], Revoked),  # nothing comes back from the dead
    (["agent-retired", "agent-suspended", "agent-resumed"], Revoked),
    (["agent-suspended", "agent-retired", "agent-resumed"], Revoked),
    (["credential-revoked", "agent-resumed"], Revoked),
    (["credential-suspended"], Suspended),
    (["credential-suspended", "credential-resumed"], None),
    (["credential-suspended", "credential-revoked", "credential-resumed"], Revoked),
]


@pytest.mark.req("REV-01", "DEL-10")
@pytest.mark.parametrize(("kinds", "expected"), ORDERS)
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_an_agent_is_follows_from_the_order_of_its_events(
    kinds: list[EventKind], expected: type[DidAgentError] | None, at_once: bool
) -> None:
    async with bridge() as at:
        if at_once:
            for kind in kinds:
                at.tell(kind, AGENT)
        async with listening(at) as feed:
            for kind in () if at_once else kinds:
                at.tell(kind, AGENT)
                await heard(at)
            await heard(at)
            assert await refusal(feed, OTHER, AGENT) is expected
            assert await refusal(feed, OTHER) is None


@pytest.mark.req("REV-01")
async def test_after_a_restart_everything_is_heard_from_the_first_event_on_before_anybody_enters() -> None:
    async with bridge() as at:
        for number in range(200):
            at.tell("credential-revoked", f"urn:uuid:{number}")
        for _ in range(2):
            async with listening(at) as feed:
                assert feed.age(NOW) is None
                # The first to come waits for the first answer instead of being let in or refused.
                assert await refusal(feed, "urn:uuid:199") is Revoked
                assert await refusal(feed, "urn:uuid:200") is None
        assert [one["after"] for one in at.asked].count("0") >= 2


@pytest.mark.req("REV-02")
async def test_nobody_enters_while_the_first_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_ANSWER", 0.05)
    async with bridge() as at:
        at.silent = True
        async with listening(at) as feed:
            assert await refusal(feed, OTHER) is StatusUnavailable
            at.silent = False
            await heard(at)
            assert await refusal(feed, OTHER) is None


@pytest.mark.req("REV-01")
async def test_whoever_watches_hears_of_each_end_once_and_in_time() -> None:
    async with bridge() as at, listening(at) as feed:
        ended: list[str] = []
        feed.watch(ended.append)
        at.tell("agent-suspended", AGENT)
        at.tell("agent-suspended", AGENT)
        at.tell("credential-revoked", "urn:uuid:1")
        await heard(at)
        assert ended == [AGENT, "urn:uuid:1"]
        at.tell("agent-resumed", AGENT)
        at.tell("agent-retired", AGENT)
        await heard(at)
        assert ended == [AGENT, "urn:uuid:1", AGENT]
