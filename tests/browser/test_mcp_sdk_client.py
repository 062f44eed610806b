"""MCP clients in Python whose person clicks in a real Chromium: the SDK's own flow, and ours with bound tokens."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from playwright.async_api import Browser, async_playwright
from pydantic import AnyUrl

from did_agent.client.mcp_oauth import LoopbackRedirect, MemoryStorage, person_auth
from did_agent.errors import ConsentDenied
from tests.e2e.processes import Up
from tests.fakes.operated import Operated

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = secrets.token_urlsafe(12)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("Chromium is not installed; the browser tests need it")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install your system's chromium package")


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    up = Up(tmp_path_factory.mktemp("sdk") / "data").start()
    operated = Operated(up)
    operated.admit_clients()
    operated.person("smith", PASSWORD, "list_menu", "update_stock")
    # One registration for every port of this machine (RFC 8252, 7.3).
    operated.client("desktop", redirect_uris=["http://127.0.0.1/callback"], auth_method="none")
    yield operated
    up.stop()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


def person_at(browser: Browser, button: str) -> Callable[[str], Awaitable[None]]:
    """Return a person who signs in and presses a button of the consent page."""

    async def open_page(url: str) -> None:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(url)
        await page.locator("#username").fill("smith")
        await page.locator("#password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator(f"button[value={button}]").click()
        await page.wait_for_url("**/callback?**")
        await context.close()

    return open_page


async def use(operated: Operated, auth: httpx2.Auth, mode: str) -> str:
    async with (
        httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(operated.up.resource, http_client=http), mode=mode) as server,
    ):
        assert [tool.name for tool in (await server.list_tools()).tools] == ["list_menu", "update_stock"]
        done = await server.call_tool("update_stock", {"item": "hummus", "quantity": 4})
        assert not done.is_error
        return str(done.content[0].text)


def registration(operated: Operated) -> OAuthClientInformationFull:
    return OAuthClientInformationFull(
        client_id="desktop", token_endpoint_auth_method="none", issuer=operated.up.url("bridge")
    )


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_unmodified_sdk_acts_for_a_person_who_clicks(
    operated: Operated, chromium: Browser, mode: str
) -> None:
    async with LoopbackRedirect() as redirect:

        async def answer() -> AuthorizationCodeResult:
            return AuthorizationCodeResult(**await redirect.answer())

        storage = MemoryStorage(registration(operated))
        provider = OAuthClientProvider(
            server_url=operated.up.resource,
            client_metadata=OAuthClientMetadata(redirect_uris=[AnyUrl(redirect.uri)]),
            storage=storage,
            redirect_handler=person_at(chromium, "allow"),
            callback_handler=answer,
        )
        assert "hummus" in await use(operated, provider, mode)
    tokens = await storage.get_tokens()
    assert tokens is not None
    assert tokens.access_token.count(".") == 2


async def test_our_own_client_gets_a_token_bound_to_its_key(operated: Operated, chromium: Browser) -> None:
    storage = MemoryStorage(registration(operated))
    async with LoopbackRedirect() as redirect:
        auth = person_auth(
            operated.up.resource,
            redirect_uri=redirect.uri,
            open_page=person_at(chromium, "allow"),
            answer=redirect.answer,
            storage=storage,
        )
        assert "hummus" in await use(operated, auth, "auto")
    tokens = await storage.get_tokens()
    assert tokens is not None
    assert tokens.access_token.startswith("dpop:")


async def test_a_person_who_says_no_ends_the_flow(operated: Operated, chromium: Browser) -> None:
    async with LoopbackRedirect() as redirect:
        auth = person_auth(
            operated.up.resource,
            redirect_uri=redirect.uri,
            open_page=person_at(chromium, "deny"),
            answer=redirect.answer,
            registered=registration(operated),
        )
        with pytest.RaisesGroup(ConsentDenied, flatten_subgroups=True, allow_unwrapped=True):
            await use(operated, auth, "auto")
