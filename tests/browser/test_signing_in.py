"""People signing in with a real Chromium: a passkey of its virtual authenticator, and a company account."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.hosted import Hosted, chromium, hosted, needs_chromium
from tests.fakes.bridge_world import PASSWORD, World, question
from tests.fakes.upstream.provider import ALICE, upstream_provider

pytestmark = needs_chromium


async def one_person(w: World) -> None:
    await w.put_resource()
    await w.put_user("smith", "list_menu", "create_order")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 900, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("passkeys"), one_person) as running:
        yield running


def authenticator(context: BrowserContext, page: Page, *, verifies: bool = True) -> Any:
    """Give the browser a device with a fingerprint reader, and return the line to it."""
    line = context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    line.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return line


def password_login(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("#username").fill("smith")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")


@pytest.mark.req("WEB-05", "WEB-06")
def test_a_passkey_is_added_used_and_removed(page: Page, bridge: Hosted) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    authenticator(page.context, page)
    account = f"{bridge.world.url}/account"
    password_login(page, account)
    page.locator("#passkey_name").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Work laptop").wait_for()
    page.get_by_role("button", name="Sign out smith").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("heading", name="Agents acting for Jo Smith").wait_for()
    # And on the way to a consent, by keyboard.
    page.get_by_role("button", name="Sign out smith").click()
    page.goto(bridge.world.url + question(bridge.world.agent("orders", "list_menu")).path)
    page.get_by_role("button", name="Sign in with a passkey").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Allow orders to act for you?").wait_for()
    assert page.locator("script").count() == 0
    page.goto(account)
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("None yet.").wait_for()
    page.get_by_role("button", name="Sign out smith").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("The passkey was not accepted").wait_for()
    assert [error for error in errors if "403" not in error] == []  # nothing was blocked by the page's policy


def test_a_device_that_does_not_know_its_person_is_of_no_use(page: Page, bridge: Hosted) -> None:
    authenticator(page.context, page, verifies=False)
    password_login(page, f"{bridge.world.url}/account")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Nothing was added.").wait_for()
    assert page.get_by_text("None yet.").is_visible()


@pytest.mark.req("WEB-05")
def test_without_script_the_password_is_still_there(browser: Browser, bridge: Hosted) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    password_login(page, f"{bridge.world.url}/account")
    page.get_by_role("heading", name="Agents acting for Jo Smith").wait_for()
    assert not page.get_by_role("button", name="Add a passkey").is_visible()
    context.close()


@pytest.mark.req("OAU-08", "OAU-09")
def test_a_company_account_signs_in_and_consents(page: Page, tmp_path: Path) -> None:
    with socket.socket() as probe:  # the provider must know the callback before the bridge runs
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    callback = f"http://localhost:{port}/login/upstream/callback"
    with upstream_provider(redirect_uris=(callback,)) as upstream:
        settings: dict[str, Any] = {"upstream_issuer": upstream.issuer, "upstream_client_id": upstream.client_id}
        settings |= {"upstream_client_secret": upstream.client_secret, "port": port}
        with hosted(tmp_path, one_person, **settings) as bridge:
            page.goto(f"{bridge.world.url}/account")
            page.get_by_role("link", name="Sign in with 127.0.0.1").click()
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("heading", name="You are not signed in").wait_for()
            page.get_by_role("link", name="Back to sign-in").click()
            page.get_by_role("link", name="Sign in with 127.0.0.1").click()
            page.locator("#username").fill(ALICE.username)
            page.locator("#password").fill(ALICE.password)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name=f"Agents acting for {ALICE.name}").wait_for()
            assert page.locator("#passkey_name").count() == 0  # her company decides each time
            page.get_by_role("button", name="Sign out").click()
            page.get_by_role("link", name="Sign in with 127.0.0.1").click()
            page.get_by_role("heading", name="Upstream sign-in").wait_for()  # asked again after signing out
