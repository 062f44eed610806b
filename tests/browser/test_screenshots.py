"""How our pages look: every page in light and dark, wide and at 360 px, with short and with hostile names.

`make screenshots` keeps the pictures in the folder DID_AGENT_SCREENSHOTS; each run proves that nothing runs out of the
page, that text can be read against its background, and that what has the focus shows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.hosted import Hosted, chromium, hosted, needs_chromium
from tests.fakes.bridge_world import PASSWORD, RESOURCE, Actor, World, question
from tests.fakes.upstream.dishonest import CLIENT_ID, CLIENT_SECRET

pytestmark = needs_chromium

WORDS = {
    "list_menu": "Read the menu",
    "create_order": "Place an order and pay for it",
    "assign_delivery": "Send a courier",
}
LONG = "Wordsthatneverendandhavenospaceinthem" * 2
HOSTILE = "Рayments \u202eסוכן\u202c " + LONG  # a Cyrillic letter, Hebrew, a direction override, no space
HOSTILE_WORDS = {f"t{number}_{'x' * 40}": f"{LONG} {number}" for number in range(6)}
SIZES = {"wide": {"width": 900, "height": 900}, "narrow": {"width": 360, "height": 740}}
SCHEMES = ("light", "dark")
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3

# Contrast of every text against the nearest background that is not transparent.
CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const back = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = [21, ''];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.tagName === 'SCRIPT') continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(back(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, node.textContent.trim().slice(0, 60)];
  }
  return worst;
}"""
# What sticks out of the page, or is cut off inside its own box.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  return [...document.body.querySelectorAll('*')].filter((one) => one.checkVisibility()).filter((one) =>
    one.getBoundingClientRect().right > width + 1 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
  ).map((one) => `${one.tagName} ${one.textContent.trim().slice(0, 40)}`);
}"""


async def furnish(w: World) -> None:
    words = [{"resource": RESOURCE, "name": "Urban Bites", "tools": WORDS}]
    words.append({"resource": "https://hostile.example/mcp", "name": LONG[:64], "tools": HOSTILE_WORDS})
    for one in words:
        answer = await w.http.put("/resources", json=one, headers=await w.admin_headers())
        assert answer.status_code == 200, answer.text
    rights = {RESOURCE: list(WORDS), "https://hostile.example/mcp": list(HOSTILE_WORDS)}
    for username, name in (("smith", "Jo Smith"), ("x" * 128, LONG[:64])):
        body = {"name": name, "password": PASSWORD, "rights": rights}
        answer = await w.http.put(f"/users/{username}", json=body, headers=await w.admin_headers())
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    company: dict[str, Any] = {"upstream_issuer": "https://login.company.example", "upstream_client_id": CLIENT_ID}
    folder = tmp_path_factory.mktemp("screenshots")
    with hosted(folder, furnish, upstream_client_secret=CLIENT_SECRET, **company) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(params=[(scheme, size) for scheme in SCHEMES for size in SIZES], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    scheme, size = request.param
    context = browser.new_context(color_scheme=scheme, viewport=SIZES[size])
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.route("http://127.0.0.1:9999/**", lambda route: route.fulfill(body="back at the application"))
    yield page
    context.close()


def look(page: Page, name: str, request: pytest.FixtureRequest, folder: Path) -> None:
    """Keep the picture and check what a machine can see of it."""
    kept = Path(os.environ.get("DID_AGENT_SCREENSHOTS", folder))
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"{name}-{request.node.callspec.id}.png", full_page=True)
    assert page.evaluate(OVERFLOW) == []
    ratio, text = page.evaluate(CONTRAST)
    assert ratio >= MIN_CONTRAST, f"{text!r} has a contrast of {ratio:.2f}"


def agent(w: World, name: str, *tools: str, resource: str = RESOURCE) -> Actor:
    from tests.fakes.bridge_world import capability

    made = w.enrol(name)
    w.grant(made, capability(*tools, resource=resource))
    return made


def sign_in(page: Page, username: str = "smith", password: str = PASSWORD) -> None:
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def allow(page: Page) -> None:
    page.get_by_role("button", name="Allow", exact=True).click()
    page.get_by_text("back at the application").wait_for()


def test_the_login_pages(page: Page, bridge: Hosted, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = agent(bridge.world, "ordering-assistant", "list_menu")
    page.goto(bridge.world.url + question(made).path)
    page.get_by_role("button", name="Sign in with a passkey").wait_for()
    look(page, "login", request, tmp_path)
    sign_in(page, password="wrong password")
    page.get_by_role("alert").wait_for()
    look(page, "login-refused", request, tmp_path)
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.goto(f"{bridge.world.url}/authorize?client_id=https://nobody.example")
    look(page, "error", request, tmp_path)
    page.goto(f"{bridge.world.url}/login/upstream/callback?state=x&code=y&iss=z")
    look(page, "company-refused", request, tmp_path)


@pytest.mark.req("OAU-08")
def test_the_consent_page(page: Page, bridge: Hosted, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = agent(bridge.world, "ordering-assistant", *WORDS)
    page.goto(bridge.world.url + question(made, scope="tool:list_menu tool:create_order offline_access").path)
    sign_in(page)
    page.get_by_role("heading", name="Allow ordering-assistant to act for you?").wait_for()
    look(page, "consent", request, tmp_path)
    text = page.locator("main").inner_text()
    for told in (
        "Urban Bites operations",
        made.did[:13],
        "Read the menu",
        "Place an order and pay for it",
        "5 minutes",
    ):
        assert told in text
    page.get_by_role("button", name="Allow", exact=True).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    look(page, "consent-focus", request, tmp_path)


@pytest.mark.req("WEB-08", "OAU-08")
def test_hostile_names(page: Page, bridge: Hosted, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    hostile = "https://hostile.example/mcp"
    made = agent(bridge.world, HOSTILE, *HOSTILE_WORDS, resource=hostile)
    page.goto(bridge.world.url + question(made, resource=hostile).path)
    sign_in(page, "x" * 128)
    page.get_by_role("button", name="Allow", exact=True).wait_for()
    look(page, "consent-hostile", request, tmp_path)
    text = page.locator("main").inner_text()
    assert made.did[:13] in text  # the name is never alone
    # The override of the name ends where the name ends: what follows reads from left to right.
    assert page.evaluate("[...document.querySelectorAll('bdi')].every((one) => one.dir === '' || one.dir === 'auto')")
    allow(page)
    page.goto(f"{bridge.world.url}/account")
    look(page, "account-hostile", request, tmp_path)


def test_the_account_page(page: Page, bridge: Hosted, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    line = page.context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    line.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    made = agent(bridge.world, "ordering-assistant", *WORDS)
    page.goto(bridge.world.url + question(made).path)
    sign_in(page)
    allow(page)
    page.goto(f"{bridge.world.url}/account")
    page.locator("#passkey_name").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Work laptop").first.wait_for()
    look(page, "account", request, tmp_path)
