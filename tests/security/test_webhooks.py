"""Webhooks reach no private place, follow nobody, wait for nobody, and give nothing away (WEB-11, NET)."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters import http
from did_agent.adapters.http import GuardedFetcher
from did_agent.errors import PeerUnavailable
from tests.fakes.granting_desk import Desk, desk
from tests.fakes.hook_receiver import delivering, receiver
from tests.fakes.issuer_world import HOOKS, recorded

PUBLIC = "https://hooks.example/x"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as opened:
        yield opened


@pytest.mark.req("WEB-11", "NET-01", "NET-02")
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "https://user:secret@hooks.example/x",
        "https://hooks.example:8080/x",
        "https://10.0.0.1/x",
        "https://2130706433/x",
        "https://[::1]/x",
        "https://hooks/x",
        "https://hooks.example/x#f",
        "https://hooks.example/a b",
        "https://ⓛocalhost/x",
        "//hooks.example/x",
    ],
)
async def test_only_an_address_that_would_be_fetched_can_be_a_webhook(at: Desk, url: str) -> None:
    body = {"url": url, "topics": ["*"]}
    strict = GuardedFetcher(allow_loopback=False)
    if url.isascii() and url.startswith("http"):
        with pytest.raises(PeerUnavailable):
            strict.require_address(url)
    if "[::1]" not in url:  # this machine, where the deployment itself lives on it
        assert await at.refused("/webhooks", at.person("admin"), body) == "invalid_parameter"
    strict.require_address(PUBLIC)
    await at.do("/webhooks", at.person("admin"), {"url": PUBLIC, "topics": ["*"]})


@pytest.mark.req("NET-03")
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_inside_is_not_posted_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    async def found(*_args: Any, **_kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    with pytest.raises(PeerUnavailable, match="public"):
        monkeypatch.setattr(http.asyncio.get_running_loop(), "getaddrinfo", found)
        await GuardedFetcher(allow_loopback=False).post(PUBLIC, content=b"{}", headers={})


@pytest.mark.req("NET-04", "NET-09")
async def test_redirects_are_not_followed_and_answers_not_kept(at: Desk) -> None:
    async with receiver() as one, receiver() as inside, delivering(at) as background:
        one.status, one.headers = 307, {"Location": inside.url}
        made = await at.do("/webhooks", at.person("admin"), {"url": one.url, "topics": ["*"]})
        await at.do(f"/webhooks/{made['id']}/test", at.person("admin"))
        await background.deliver()
        assert (len(one.received), inside.received) == (1, [])
        page = await at.get(f"/webhooks/{made['id']}/deliveries")
        assert page["deliveries"][0]["outcome"] == "307"
        assert "internal words" not in str(page)


@pytest.mark.req("NET-05")
async def test_a_receiver_that_hangs_is_left_and_others_are_served(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.3)
    async with receiver() as slow, receiver() as quick, delivering(at) as background:
        slow.hangs = True
        for one in (slow, quick):
            made = await at.do("/webhooks", at.person("admin"), {"url": one.url, "topics": ["*"]})
            await at.do(f"/webhooks/{made['id']}/test", at.person("admin"))
        await background.deliver()
        assert len(quick.received) >= 1
        found = [
            (await at.get(f"/webhooks/{one['id']}/deliveries"))["deliveries"]
            for one in (await at.get("/webhooks"))["webhooks"]
        ]
        assert {entry["outcome"] for page in found for entry in page} == {"unreachable", "204"}
        slow.hangs = False


@pytest.mark.req("WEB-11", "KEY-01")
async def test_no_secret_of_a_webhook_is_in_the_database_or_the_record(at: Desk) -> None:
    admin = at.person("admin")
    made = await at.do("/webhooks", admin, {"url": PUBLIC, "topics": ["*"], "scheme": "v1"})
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    assert len(secret) == 32
    assert isinstance(at.where, Path)
    kept = b"".join(path.read_bytes() for path in at.where.glob("issuer.db*"))
    for hidden in (secret, secret.hex().encode(), made["secret"].removeprefix("whsec_").encode(), HOOKS):
        assert hidden not in kept
    assert made["secret"] not in str([event.to_json() for event in await recorded(at.where)])
    other = await at.do("/webhooks", admin, {"url": PUBLIC, "topics": ["*"], "scheme": "v1"})
    assert other["secret"] != made["secret"]


@pytest.mark.parametrize("topics", [[], ["agent"], ["credential.revoke"], ["*.*"], ["secret.*"]])
async def test_topics_are_known_ones(at: Desk, topics: list[str]) -> None:
    assert await at.refused("/webhooks", at.person("admin"), {"url": PUBLIC, "topics": topics}) == "invalid_parameter"


async def test_an_organisation_has_only_so_many_webhooks(at: Desk) -> None:
    body = {"url": PUBLIC, "topics": ["*"]}
    for _ in range(16):
        await at.do("/webhooks", at.person("admin"), body)
    assert await at.refused("/webhooks", at.person("admin"), body) == "quota_exceeded"
