"""Every page of the console with nothing, with three rows, with ten thousand and with hostile names, in a real Chromium.

`make screenshots` keeps the pictures in the folder DID_AGENT_SCREENSHOTS.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.hosted import chromium, needs_chromium
from tests.e2e.processes import free_base
from tests.fakes.console_trails import MANY, furnish
from tests.fakes.console_world import PAGES, PASSWORD, ConsoleWorld, console_world

pytestmark = needs_chromium
DATA = ("empty", "three", "many", "hostile")
MAX_PAGE_BYTES = 102_400
WIDE, NARROW = {"width": 1100, "height": 800}, {"width": 360, "height": 740}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    with console_world(tmp_path_factory.mktemp("data") / "data", free_base()) as made:
        furnish(made)
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def sign_in(world: ConsoleWorld, context: BrowserContext, username: str) -> Page:
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{world.url}/agents")
    page.fill("[name=username]", username)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{world.url}/agents")
    return page


def addresses(world: ConsoleWorld, page: Page) -> list[str]:
    """Return every page there is, with the first agent and the first event that a list leads to."""
    found = list(PAGES)
    for place, start in (("/agents", "/agents/"), ("/audit", "/audit/")):
        page.goto(world.url + place)
        links = page.eval_on_selector_all("main a", "all => all.map((one) => one.getAttribute('href'))")
        found += [one for one in links if one.startswith(start) and one.count("/") == 2 and one != "/agents/new"][:1]
    return found


def keep(page: Page, name: str) -> None:
    if kept := os.environ.get("DID_AGENT_SCREENSHOTS"):
        page.screenshot(path=Path(kept) / f"console-{name}.png", full_page=True)


@pytest.mark.req("WEB-01", "WEB-05")
@pytest.mark.parametrize("username", DATA)
def test_every_page_with_every_kind_of_data(world: ConsoleWorld, browser: Browser, username: str) -> None:
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    page, said, bodies = sign_in(world, context, username), list[str](), list[int]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"a script ran: {dialog.message}") or dialog.dismiss())
    elsewhere: list[str] = []
    page.on("request", lambda one: elsewhere.append(one.url) if not one.url.startswith(world.url) else None)
    places = addresses(world, page)
    assert len(places) > len(PAGES) or username == "empty"
    for place in places:
        bodies.clear()
        page.on("response", weigh := lambda answer: bodies.append(len(answer.body())))
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")
        answer = page.goto(world.url + place)
        page.remove_listener("response", weigh)
        assert answer is not None
        assert answer.status == 200, place
        assert (place, sum(bodies) <= MAX_PAGE_BYTES) == (place, True), sum(bodies)
        assert (place, findings(page)) == (place, [])
        name = f"{username}-{place.strip('/').split('/')[0] or 'home'}-{place.count('/')}"
        keep(page, f"{name}-light")
        page.emulate_media(color_scheme="dark")
        assert (place, findings(page, "color-contrast")) == (place, [])
        keep(page, f"{name}-dark")
        page.set_viewport_size(NARROW)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (place, wider) == (place, 0)
        keep(page, f"{name}-phone")
    context.close()
    assert (said, elsewhere) == ([], [])


def findings(page: Page, *rules: str) -> list[tuple[str, list[Any]]]:
    """Return what axe calls serious: of WCAG 2.2, A and AA, or of some rules alone."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": tags}
    found = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": only})
    violations = [one for one in found.response["violations"] if one["impact"] in SERIOUS]
    return [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in violations]


def test_everything_is_read_without_script_and_ten_thousand_rows_in_pages(
    world: ConsoleWorld, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(world, context, "many")
    for place in PAGES:
        page.goto(world.url + place)
        assert page.locator("h1").count() == 1, place
    page.goto(f"{world.url}/audit?action=tool.call")
    seen = set[str]()
    for _ in range(3):
        rows = page.locator("main table tbody tr")
        texts = [rows.nth(number).locator("a").first.get_attribute("href") or "" for number in range(rows.count())]
        assert len(texts) == 100
        assert not seen & set(texts)
        seen |= set(texts)
        page.locator("main a", has_text="Next page").click()
    counted = world.operate("ledger", "GET", "/events?action=tool.call&limit=1")["size"]
    assert counted > MANY
    context.close()
