"""The issuer as a process: its own key and database, a bridge that comes and goes, and news that waits for it."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.outbox import Delivery
from did_agent.adapters.party import listen, serving
from did_agent.adapters.sql import create_schema, open_database
from did_agent.did.key import did_key
from did_agent.errors import WrongAudience
from did_agent.keys.ed25519 import PublicKey
from did_agent.tokens.security_event import SecurityEvent, verify_event
from issuer.adapters.news import BridgeNews
from issuer.adapters.sql import SQLStore, metadata, outbox
from issuer.app import create_app
from issuer.model import Notice
from issuer.settings import IssuerSettings
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, KEY, sqlite_url


@dataclass
class Bridge:
    """The receiving end of RFC 8935, as good-tempered as a test wants it."""

    status: int = 202
    received: list[tuple[str, str]] = field(default_factory=list)  # content type and token

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if self.status == 202:
            headers = dict(scope["headers"])
            assert scope["method"] == "POST"
            assert scope["path"] in ("/revocations", "/revocations/batch")
            self.received.append((headers[b"content-type"].decode(), body.decode()))
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def events(self, audience: str) -> list[SecurityEvent]:
        def key(_header: object, _claims: object) -> PublicKey:
            return KEY.public

        return [
            verify_event(token, find_key=key, expected_issuer=did_key(KEY.public), expected_audience=audience, now=NOW)
            for token in self.tokens()
        ]

    def tokens(self) -> list[str]:
        """Return every SET, of batches too."""
        found: list[str] = []
        for kind, body in self.received:
            found += [body] if kind == "application/secevent+jwt" else json.loads(body)["sets"]
        return found


async def _live(receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def storage(folder: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_database(sqlite_url(folder))
    await create_schema(engine, metadata)
    yield engine
    await engine.dispose()


def news_of(engine: AsyncEngine, bridge_url: str) -> BridgeNews:
    def clock() -> Any:
        return NOW

    delivery = Delivery(engine, outbox, ledger_url="http://127.0.0.1:1", key=KEY, clock=clock)
    return BridgeNews(SQLStore(engine), delivery, bridge_url=bridge_url, key=lambda: KEY, clock=clock)


async def put(engine: AsyncEngine, *notices: Notice) -> None:
    async with SQLStore(engine).work() as work:
        for notice in notices:
            await work.add_notice(notice)


def notice(number: int, **changes: Any) -> Notice:
    values: dict[str, Any] = {
        "id": f"urn:uuid:{number}",
        "kind": "credential-revoked",
        "subject": f"urn:uuid:credential-{number}",
        "reason": "laptop lost",
        "at": NOW,
        **changes,
    }
    return Notice(**values)


@pytest.mark.req("REV-01", "WEB-11")
async def test_news_reaches_the_bridge_at_once_in_order_and_signed_for_it_alone(tmp_path: Path) -> None:
    bridge, listener = Bridge(), listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with storage(tmp_path) as engine, serving([(bridge, listener)]):
        news = news_of(engine, url)
        assert await news.push()
        assert bridge.received == []
        await put(engine, notice(1), notice(2, kind="agent-suspended", subject="did:key:zA"))
        assert await news.push()
        assert await news.push()
        assert [kind for kind, _ in bridge.received] == ["application/json"]  # two at once are one request
        assert [(event.id, event.kind, event.subject, event.reason) for event in bridge.events(url)] == [
            ("urn:uuid:1", "credential-revoked", "urn:uuid:credential-1", "laptop lost"),
            ("urn:uuid:2", "agent-suspended", "did:key:zA", "laptop lost"),
        ]
        with pytest.raises(WrongAudience):
            bridge.events("http://127.0.0.1:9")


@pytest.mark.req("REV-01", "FCL", "WEB-11")
@pytest.mark.parametrize("status", [200, 400, 500, 503, 307])
async def test_news_the_bridge_did_not_accept_is_kept_and_told_again_after_a_restart(
    tmp_path: Path, status: int
) -> None:
    bridge, listener = Bridge(status=status), listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving([(bridge, listener)]):
        async with storage(tmp_path) as engine:
            await put(engine, notice(1, at=NOW - timedelta(days=3)), notice(2))
            assert not await news_of(engine, url).push()
        bridge.status = 202
        async with storage(tmp_path) as engine:
            assert await news_of(engine, url).push()
    assert [event.id for event in bridge.events(url)] == ["urn:uuid:1", "urn:uuid:2"]


@pytest.mark.req("FCL")
async def test_news_waits_for_a_bridge_that_is_not_there(tmp_path: Path) -> None:
    gone = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    gone.close()
    async with storage(tmp_path) as engine:
        await put(engine, notice(1))
        assert not await news_of(engine, url).push()
        async with SQLStore(engine).work() as work:
            assert [waiting.id for waiting in await work.notices(5)] == ["urn:uuid:1"]


@pytest.mark.req("FCL")
async def test_the_process_keeps_its_key_to_itself_and_answers_no_while_the_bridge_is_away(tmp_path: Path) -> None:
    gone = listen("127.0.0.1", 0)
    away = f"http://127.0.0.1:{gone.getsockname()[1]}"
    gone.close()
    dids = []
    for _ in range(2):  # the second start finds what the first one made
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = IssuerSettings(
            data=tmp_path / "data", database_url=None, issuer_url=url, bridge_url=away, ledger_url=away
        )
        async with (
            serving([(create_app(settings), listener)]),
            httpx2.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            about = (await http.get("/.well-known/did-agent-issuer")).json()
            assert about["url"] == url
            dids.append(about["did"])
            assert (await http.get("/livez")).json() == {"status": "ok"}
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["parts"]["revocation_feed"]) == (200, "stale")
            assert (await http.get("/status-lists/suspension/1")).status_code == 404  # nobody was given a place yet
            context = await http.get("/contexts/capability/v1")
            assert (context.status_code, context.headers["access-control-allow-origin"]) == (200, "*")
            refused = await http.post("/agents", json={"name": "a", "sponsor": "Ops"}, headers=ADMIN)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            assert (await http.get("/agents")).status_code == 401
    assert len(set(dids)) == 1
    key_file = tmp_path / "data" / "keys" / "issuer.jwk"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert (tmp_path / "data" / "issuer.db").exists()
    assert len(asyncio.all_tasks()) == 1  # nothing is left running
