"""The console in a real Chromium: no page is wider than a phone, breaks its own policy, or needs the mouse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.hosted import CHROMIUM, FLAGS, needs_chromium
from tests.e2e.processes import free_base
from tests.fakes.console_world import PAGES, PASSWORD, ConsoleWorld, console_world

pytestmark = needs_chromium
LONG = "an-agent-with-a-name-that-is-as-long-as-a-name-may-ever-become-x"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    with console_world(tmp_path_factory.mktemp("pages") / "data", free_base()) as made:
        made.person("robin", "admin")
        made.operate("issuer", "POST", "/agents", name=LONG, sponsor="Ops", description="word" * 60)
        yield made


@pytest.fixture(scope="module")
def page(world: ConsoleWorld) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page()
        opened.goto(f"{world.url}/agents")
        opened.fill("[name=username]", "robin")
        opened.fill("[name=password]", PASSWORD)
        opened.keyboard.press("Enter")
        opened.wait_for_url(f"{world.url}/agents")
        yield opened
        browser.close()


@pytest.mark.req("WEB-05")
def test_no_page_is_wider_than_a_phone_or_breaks_its_own_policy(world: ConsoleWorld, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    (made,) = world.operate("issuer", "GET", f"/agents?name={LONG}")["agents"]
    page.set_viewport_size({"width": 360, "height": 740})
    for path in (*PAGES, f"/agents/{made['agent_id']}"):
        page.goto(world.url + path)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (path, wider) == (path, 0)
        assert page.locator("h1").count() == 1, path
        unnamed = page.locator("main input:not([type=hidden]):visible, main select:visible, main textarea:visible")
        for number in range(unnamed.count()):
            assert unnamed.nth(number).evaluate("field => field.labels.length") > 0, path
    assert said == []


def test_the_keyboard_reaches_the_page_past_the_menu(world: ConsoleWorld, page: Page) -> None:
    page.goto(f"{world.url}/agents/new")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "name"
    page.keyboard.type("typed-agent")
    page.keyboard.press("Tab")
    page.keyboard.type("Ops")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("typed-agent is invited")


def test_the_trail_grows_while_somebody_looks(world: ConsoleWorld, page: Page) -> None:
    page.goto(f"{world.url}/audit?live=yes&action=agent.create")
    rows = page.locator("#trail tbody tr")
    before = rows.count()
    world.operate("issuer", "POST", "/agents", name="seen-live", sponsor="Ops")
    expect(rows).to_have_count(before + 1, timeout=15_000)
