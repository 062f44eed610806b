"""The cache of status lists: one fetch for many, never older than its owner or its publisher allows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from did_agent.adapters import status
from did_agent.adapters.status import StatusLists
from did_agent.credential.issuance import issue
from did_agent.credential.status import MIN_LIST_BYTES, build_status_list_credential
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import StatusUnavailable
from did_agent.keys.ed25519 import SigningKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, STRANGER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
URL = "https://issuer.example/status-lists/revocation/1"


class Publisher:
    """Publishes a list for every URL and counts who asks."""

    def __init__(self) -> None:
        self.now, self.asked = NOW, 0
        self.ttl_ms, self.life, self.key = 300_000, timedelta(hours=1), ISSUER
        self.gate = asyncio.Event()
        self.gate.set()

    def lists(self, *, max_age: float = 30) -> StatusLists:
        trusted = TrustedIssuers.of(did_key(ISSUER.public))
        return StatusLists(self, trusted=trusted, max_age=timedelta(seconds=max_age), clock=lambda: self.now)

    async def get_json(self, url: str) -> Mapping[str, object]:
        self.asked += 1
        await self.gate.wait()
        unsigned = build_status_list_credential(
            url=url,
            issuer=did_key(self.key.public),
            purpose="revocation",
            bits=bytes(MIN_LIST_BYTES),
            valid_from=self.now,
            valid_until=self.now + self.life,
            ttl_ms=self.ttl_ms,
        )
        return issue(unsigned, self.key, now=self.now)


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    ("max_age", "ttl_ms", "life", "kept"),
    [(30, 300_000, 3_600, 30), (30, 5_000, 3_600, 5), (30, 300_000, 10, 10), (30, 0, 3_600, 0)],
)
async def test_a_list_is_kept_for_the_shortest_of_all_limits(max_age: int, ttl_ms: int, life: int, kept: int) -> None:
    publisher = Publisher()
    publisher.ttl_ms, publisher.life = ttl_ms, timedelta(seconds=life)
    lists = publisher.lists(max_age=max_age)
    assert (await lists.get([URL]))[URL].url == URL
    if kept:
        publisher.now = NOW + timedelta(seconds=kept - 1)
        await lists.get([URL])
        assert publisher.asked == 1
    publisher.now = NOW + timedelta(seconds=kept)
    await lists.get([URL])
    assert publisher.asked == 2


@pytest.mark.req("NET-08")
async def test_many_calls_at_once_are_one_fetch() -> None:
    publisher = Publisher()
    publisher.gate.clear()
    lists = publisher.lists()
    calls = [asyncio.create_task(lists.get([URL, URL])) for _ in range(20)]
    await asyncio.sleep(0)
    publisher.gate.set()
    assert all(URL in found for found in await asyncio.gather(*calls))
    assert publisher.asked == 1


@pytest.mark.req("VCX-10")
async def test_a_strangers_list_is_no_answer_and_an_old_answer_does_not_stand_in_for_it() -> None:
    publisher = Publisher()
    lists = publisher.lists()
    await lists.get([URL])
    publisher.now, publisher.key = NOW + timedelta(seconds=31), STRANGER
    with pytest.raises(StatusUnavailable):
        await lists.get([URL])
    publisher.now, publisher.key = NOW + timedelta(seconds=37), ISSUER
    assert URL in await lists.get([URL])


@pytest.mark.req("LIM-01")
async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MAX_LISTS", 2)
    publisher = Publisher()
    lists = publisher.lists()
    for number in range(5):
        await lists.get([f"{URL}{number}"])
    assert len(lists._entries) == len(lists._locks) == 2
