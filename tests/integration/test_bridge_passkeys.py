"""Passkeys at a real bridge: add, use, list, remove, and every way an answer can be wrong."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.authenticator import PRESENT, VERIFIED, Device, b64
from tests.fakes.bridge_world import _DATABASES, PASSWORD, Browser, World, cheap_passwords, form_of, question, world


@pytest.fixture(params=_DATABASES, ids=lambda url: "postgres" if url else "sqlite")
async def w(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A bridge under a name: browsers bind passkeys to names alone."""
    cheap_passwords(monkeypatch)
    async with world(tmp_path, database=request.param, host="localhost") as running:
        await running.put_resource()
        await running.put_user("smith", "list_menu")
        yield running


def options_of(page: str) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]*)"', page)
    assert found is not None, page
    return dict(json.loads(unescape(found[1])))


async def send(browser: Browser, path: str = "/account", **fields: str) -> httpx2.Response:
    page = form_of((await browser.get(path)).text)
    return await browser.submit(path, {"csrf_token": page.fields["csrf_token"], **fields}.items())


async def add(w: World, browser: Browser, device: Device, *, name: str = "My laptop") -> httpx2.Response:
    options = options_of((await browser.get("/account")).text)
    return await send(browser, new_passkey=device.create(options), name=name)


async def enter(browser: Browser, device: Device, path: str = "/account", **changes: Any) -> httpx2.Response:
    options = options_of((await browser.get(path)).text)
    return await send(browser, path, passkey=device.get(options, **changes))


async def signed_in(w: World) -> Browser:
    browser = Browser(w)
    assert "Agents acting for" in (await browser.login("/account")).text
    return browser


async def logins(w: World) -> list[tuple[str, str]]:
    return [(event["decision"], event["reason"]) for event in await w.events() if event["action"] == "user.login"]


@pytest.mark.req("WEB-06", "WEB-04")
async def test_a_person_adds_a_passkey_signs_in_with_it_and_removes_it(w: World) -> None:
    first, device = await signed_in(w), Device(w.url)
    assert (await add(w, first, device)).status_code == 303
    page = (await first.get("/account")).text
    assert "My laptop" in page
    assert "script-src 'self'" in (await first.get("/account")).headers["content-security-policy"]
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    path = question(agent).path
    await browser.get(path)
    before = browser.http.cookies["did-agent"]
    answer = await enter(browser, device, path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{w.url}{path}")
    assert browser.http.cookies["did-agent"] != before
    consent = await browser.get(path)
    assert "to act for you?" in consent.text
    assert "script" not in consent.headers["content-security-policy"] + consent.text  # consent needs none, and has none
    assert "last used" in (await browser.get("/account")).text
    (passkey_id,) = re.findall(r'name="remove_passkey" value="([^"]*)"', (await browser.get("/account")).text)
    assert (await send(browser, remove_passkey=passkey_id)).status_code == 303
    assert (await send(browser, remove_passkey=passkey_id)).status_code == 404
    assert (await enter(Browser(w), device)).status_code == 403
    actions = [event["action"] for event in await w.events() if event["action"].startswith("passkey")]
    assert actions == ["passkey.add", "passkey.remove"]


async def test_password_login_and_consent_need_no_script(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    assert (await browser.consent(question(agent).path))["code"]
    script = await browser.get("/passkeys.js")
    assert script.headers["content-type"].startswith("text/javascript")


@pytest.mark.req("WEB-06")
async def test_an_answer_that_is_not_right_in_everything_is_refused(w: World) -> None:
    device = Device(w.url)
    await add(w, await signed_in(w), device)
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"flags": PRESENT}, {}),  # nobody was verified
        ({"flags": VERIFIED}, {}),  # nobody was there
        ({"rp": "evil.example"}, {}),
        ({"origin": "https://evil.example"}, {}),
        ({"origin": w.url + "/"}, {}),
        ({}, {"client": {"type": "webauthn.create"}}),
        ({}, {"client": {"challenge": b64(bytes(56))}}),
        ({}, {"client": {"challenge": 7}}),
        ({}, {"handle": b64(b"another account's" * 2)}),
        ({"id": b"unknown to anybody"}, {}),
        ({"key": Device(w.url).key}, {}),
    ]
    for spoiled, changes in wrong:
        honest = {name: getattr(device, name) for name in spoiled}
        for name, value in spoiled.items():
            setattr(device, name, value)
        browser = Browser(w)
        answer = await enter(browser, device, **changes)
        assert answer.status_code == 403, (spoiled, changes)
        assert "The passkey was not accepted" in answer.text
        assert (await logins(w))[-1][0] == "deny"
        assert "Sign in" in (await browser.get("/account")).text
        for name, value in honest.items():
            setattr(device, name, value)
    assert (await enter(Browser(w), device)).status_code == 303
    for text in ("x", "{}", '{"id":"a","response":{}}', '{"id":7,"response":{"clientDataJSON":"e30"}}'):
        assert (await send(Browser(w), passkey=text)).status_code == 403


@pytest.mark.req("WEB-06")
async def test_a_challenge_is_for_one_browser_one_purpose_one_time_and_a_while(w: World) -> None:
    device, first = Device(w.url), await signed_in(w)
    await add(w, first, device)
    browser = Browser(w)
    options = options_of((await browser.get("/account")).text)
    answer = device.get(options)
    assert (await send(Browser(w), passkey=answer)).status_code == 403  # another browser
    adding = options_of((await first.get("/account")).text)
    fields = form_of((await first.get("/account")).text).fields
    sent = {"csrf_token": fields["csrf_token"], "passkey": device.get(adding)}
    assert (await first.submit("/account", sent.items())).status_code == 403  # asked to add, not to sign in
    assert (await send(browser, passkey=answer)).status_code == 303
    before = browser.http.cookies["did-agent"]
    late = Browser(w)
    waiting = options_of((await late.get("/account")).text)
    w.clock.forward(300)
    assert (await send(late, passkey=device.get(waiting))).status_code == 403
    assert browser.http.cookies["did-agent"] == before


@pytest.mark.req("WEB-06")
async def test_an_answer_counts_once_also_where_devices_do_not_count(w: World) -> None:
    device = Device(w.url, step=0)
    await add(w, await signed_in(w), device)
    browser = Browser(w)
    page = await browser.get("/account")
    cookie, fields = browser.http.cookies["did-agent"], form_of(page.text).fields
    sent = {"csrf_token": fields["csrf_token"], "passkey": device.get(options_of(page.text))}
    assert (await browser.submit("/account", sent.items())).status_code == 303
    replay = Browser(w)
    replay.http.cookies.set("did-agent", cookie)  # the same browser id, before it signed in
    assert (await replay.submit("/account", sent.items())).status_code == 403
    assert (await logins(w))[-1] == ("deny", "replayed")


@pytest.mark.req("WEB-06")
async def test_a_copied_passkey_is_noticed_by_its_count(w: World) -> None:
    device = Device(w.url)
    await add(w, await signed_in(w), device)
    assert (await enter(Browser(w), device)).status_code == 303
    device.count -= 1  # the copy is behind
    assert (await enter(Browser(w), device)).status_code == 403
    assert (await enter(Browser(w), device)).status_code == 303


@pytest.mark.req("WEB-04", "WEB-02")
async def test_a_passkey_is_added_soon_after_a_login_and_never_for_somebody_else(w: World) -> None:
    browser, device = await signed_in(w), Device(w.url)
    w.clock.forward(599)
    assert (await add(w, browser, device)).status_code == 303
    assert (await add(w, browser, device)).status_code == 403  # known already
    w.clock.forward(1)
    late = await add(w, browser, Device(w.url))
    assert late.status_code == 403
    await w.put_user("jones", "list_menu")
    other = Browser(w)
    await other.login("/account", username="jones")
    (passkey_id,) = re.findall(r'name="remove_passkey" value="([^"]*)"', (await browser.get("/account")).text)
    assert (await send(other, remove_passkey=passkey_id)).status_code == 404
    assert "My laptop" in (await browser.get("/account")).text
    for spoiled in (Device(w.url, flags=PRESENT), Device("https://evil.example"), Device(w.url, rp="evil.example")):
        assert (await add(w, other, spoiled)).status_code == 403
    for name in ("x" * 65, "hidden\u202e"):
        assert (await add(w, other, Device(w.url), name=name)).status_code == 400


async def test_a_deleted_account_takes_its_passkeys_with_it(w: World) -> None:
    device = Device(w.url)
    await add(w, await signed_in(w), device)
    headers = await w.admin_headers()
    assert (await w.http.delete("/users/smith", headers=headers)).status_code == 204
    await w.put_user("smith", "list_menu", password=PASSWORD)
    assert (await enter(Browser(w), device)).status_code == 403


async def test_an_address_has_no_passkeys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    async with world(tmp_path) as w:
        await w.put_user("smith", "list_menu")
        page = await Browser(w).get("/account")
        assert "passkey" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert "passkey" not in (await Browser(w).login("/account")).text
