"""Guessing passwords at a real bridge: slow for strangers, harmless for the person, and never in the way of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher

from bridge import logins
from bridge.adapters import passwords
from tests.fakes.bridge_world import _DATABASES, PASSWORD, Browser, World, cheap_passwords, form_of, world


@pytest.fixture(params=_DATABASES, ids=lambda url: "postgres" if url else "sqlite")
async def w(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A bridge behind a proxy on this machine, which says where requests come from."""
    cheap_passwords(monkeypatch)
    async with world(tmp_path, database=request.param, tls_proxies=("127.0.0.1",)) as running:
        await running.put_resource()
        await running.put_user("smith", "list_menu")
        yield running


async def attempt(browser: Browser, username: str = "smith", password: str = "x", *, source: str) -> httpx2.Response:
    page = await browser.get("/account")
    if "password" not in form_of(page.text).fields:
        await browser.submit("/account", [("csrf_token", form_of(page.text).fields["csrf_token"]), ("sign_out", "yes")])
        page = await browser.get("/account")
    fields = form_of(page.text).fields | {"username": username, "password": password}
    return await browser.submit("/account", fields.items(), **{"X-Forwarded-For": f"198.51.100.1, {source}"})


@pytest.mark.req("OAU-16")
async def test_strangers_cannot_lock_a_person_out_of_their_own_browser(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "PER_ACCOUNT", 5)
    own = Browser(w)
    assert (await attempt(own, password=PASSWORD, source="203.0.113.1")).status_code == 303
    for number in range(5):
        assert (await attempt(Browser(w), source=f"203.0.113.{number + 2}")).status_code == 403
    assert (await attempt(Browser(w), password=PASSWORD, source="203.0.113.99")).status_code == 429
    assert (await attempt(own, password=PASSWORD, source="203.0.113.1")).status_code == 303
    # The mark is one account's, cannot be made up, and has a limit of its own.
    forged = Browser(w)
    forged.http.cookies.set("did-agent-known", "x" * 22 + "." + "y" * 43)
    assert (await attempt(forged, password=PASSWORD, source="203.0.113.98")).status_code == 429
    for _ in range(10):
        assert (await attempt(own, source="203.0.113.1")).status_code == 403
    assert (await attempt(own, password=PASSWORD, source="203.0.113.1")).status_code == 429
    w.clock.forward(15 * 60)
    assert (await attempt(own, password=PASSWORD, source="203.0.113.1")).status_code == 303


@pytest.mark.req("OAU-16", "OAU-15")
async def test_one_place_has_a_limit_over_all_accounts(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "PER_SOURCE", 3)
    for number in range(3):
        answer = await attempt(Browser(w), f"nobody-{number}", source="2001:db8:0:1::1")
        assert answer.status_code == 403
    # A whole network of /64 is one subscriber.
    assert (await attempt(Browser(w), password=PASSWORD, source="2001:db8:0:1:ffff::2")).status_code == 429
    assert (await attempt(Browser(w), password=PASSWORD, source="2001:db8:0:2::1")).status_code == 303


@pytest.mark.req("OAU-16")
async def test_a_right_password_is_not_counted_and_parallel_guesses_are(w: World) -> None:
    for _ in range(12):
        assert (await attempt(Browser(w), password=PASSWORD, source="203.0.113.1")).status_code == 303
    guesses = [attempt(Browser(w), source="203.0.113.2") for _ in range(16)]
    codes = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert sorted(codes) == [403] * 10 + [429] * 6


@pytest.mark.req("OAU-16")
async def test_a_full_queue_turns_logins_away_and_nothing_else(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 0)
    for _ in range(11):
        answer = await attempt(Browser(w), password=PASSWORD, source="203.0.113.1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await w.client_credentials(w.operator, resource=w.url)).status_code == 200
    monkeypatch.setattr(passwords, "MAX_WAITING", 32)
    # What nobody looked at was no guess.
    assert (await attempt(Browser(w), password=PASSWORD, source="203.0.113.1")).status_code == 303


@pytest.mark.req("OAU-16")
async def test_only_our_own_proxy_says_where_a_request_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    async with world(tmp_path) as w:
        await w.put_user("smith", "list_menu")
        for number in range(10):
            assert (await attempt(Browser(w), source=f"203.0.113.{number}")).status_code == 403
        assert (await attempt(Browser(w), source="203.0.113.77")).status_code == 429


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("<script>", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_place_of_an_address(address: str, place: str) -> None:
    assert logins.source_of(address) == place


@pytest.mark.req("OAU-16")
async def test_the_pool_works_on_two_and_lets_a_bounded_number_wait() -> None:
    pool = passwords.Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    stored = await pool.hash("right")
    work: list[Any] = [pool.is_right(stored, "wrong") for _ in range(passwords.MAX_WAITING + 3)]
    answers = await asyncio.gather(*work, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, Exception)]
    assert len(refused) == 3
    assert answers.count(False) == passwords.MAX_WAITING
    assert await pool.is_right(stored, "right")
    assert not await pool.is_right("", "right")
    assert not await pool.is_right(None, "right")
    pool.close()
