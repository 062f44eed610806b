"""A person at the bridge's pages, in a real Chromium: sign in, read, refuse, allow; by keyboard and without script."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from processes import Up  # noqa: E402  # shared with the end-to-end tests

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REDIRECT = "http://127.0.0.1:9/callback"
PASSWORD = secrets.token_urlsafe(12)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("Chromium is not installed; the browser tests need it")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install your system's chromium package")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("browser") / "data").start()
    os.environ["DID_AGENT_USER_PASSWORD"] = PASSWORD
    started.run("user", "add", "smith", "--name", "Jo Smith", "--allow", f"{started.resource}=list_menu,create_order")
    del os.environ["DID_AGENT_USER_PASSWORD"]
    started.run("agent", "create", "ordering-assistant", "--sponsor", "Urban Bites", "--redirect-uri", REDIRECT)
    started.run(
        "cred", "issue", "ordering-assistant", "--resource", started.resource, "--tool", "list_menu", "--tool",
        "create_order",
    )  # fmt: skip
    yield started
    started.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    # No script: consent must not depend on it.
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    yield context.new_page()
    context.close()


def question(up: Up, **changes: str) -> str:
    did = up.json("agent", "show", "ordering-assistant")["did"]
    parameters = {
        "response_type": "code",
        "client_id": did,
        "redirect_uri": REDIRECT,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "state": "st4te",
        "resource": up.resource,
        "requested_actor": did,
        **changes,
    }
    return f"{up.url('bridge')}/authorize?{urlencode(parameters)}"


def sign_in(page: Page, up: Up, password: str = PASSWORD) -> None:
    page.goto(question(up))
    page.locator("#username").fill("smith")
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def answer_of(page: Page, action: Any) -> dict[str, str]:
    with page.expect_request(re.compile(re.escape(REDIRECT))) as request:
        action()
    return {name: values[0] for name, values in parse_qs(urlsplit(request.value.url).query).items()}


@pytest.mark.req("OAU-08")
def test_the_consent_page_says_who_asks_for_what_and_until_when(page: Page, up: Up) -> None:
    sign_in(page, up)
    page.wait_for_selector("button[value=allow]")
    text = page.locator("body").inner_text()
    did = up.json("agent", "show", "ordering-assistant")["did"]
    for needed in ("ordering-assistant", did[:13], "Urban Bites", "Place an order", "Read the menu", "127.0.0.1:9"):
        assert needed in text
    assert "program on this device" in text
    assert "minutes after" in text
    width = page.locator("body").bounding_box()
    assert width is not None
    assert width["width"] <= 360


@pytest.mark.req("OAU-04", "OAU-08")
def test_allowing_by_keyboard_sends_code_state_and_issuer(page: Page, up: Up) -> None:
    sign_in(page, up)
    page.locator("button[value=allow]").focus()
    answer = answer_of(page, lambda: page.keyboard.press("Enter"))
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("st4te", up.url("bridge"))


@pytest.mark.req("OAU-04", "OAU-08")
def test_refusing_sends_access_denied(page: Page, up: Up) -> None:
    sign_in(page, up)
    answer = answer_of(page, lambda: page.locator("button[value=deny]").click())
    assert (answer["error"], answer["iss"]) == ("access_denied", up.url("bridge"))


@pytest.mark.req("OAU-15")
def test_a_wrong_password_stays_on_the_page_and_does_not_say_which_part_was_wrong(page: Page, up: Up) -> None:
    sign_in(page, up, "wrong password")
    known = page.locator("[role=alert]").inner_text()
    page.locator("#username").fill("nobody")
    page.locator("#password").fill("wrong password")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("[role=alert]").inner_text() == known


@pytest.mark.req("WEB-05")
def test_the_pages_may_not_be_framed_and_run_no_script(page: Page, up: Up) -> None:
    response = page.goto(question(up))
    assert response is not None
    headers = response.all_headers()
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert page.locator("script").count() == 0
    cookies = json.dumps(page.context.cookies())
    assert PASSWORD not in cookies


@pytest.mark.req("OAU-03")
def test_a_foreign_redirect_is_a_page_and_never_a_redirect(page: Page, up: Up) -> None:
    response = page.goto(question(up, redirect_uri="https://evil.example/callback"))
    assert response is not None
    assert response.status == 400
    assert urlsplit(page.url).netloc == urlsplit(up.url("bridge")).netloc
