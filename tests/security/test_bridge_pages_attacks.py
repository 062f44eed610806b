"""Attacks on the pages: open redirects, forged forms, stolen cookies, guessed passwords, injected markup."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from bridge.api.browser import Browser as Binding
from bridge.redirects import require_redirect_uri
from did_agent.encoding.redirect_uri import is_redirect_uri
from did_agent.errors import InvalidParameter
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.bridge_world import (
    PASSWORD,
    REDIRECT,
    Actor,
    Browser,
    World,
    answered,
    form_of,
    origin,
    question,
    w,
)

__all__ = ["w"]


@pytest.mark.req("OAU-03")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"},
        {"client_id": "https://client.example/metadata"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": REDIRECT + "/more"},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": REDIRECT.replace("127.0.0.1", "localhost")},
        {"redirect_uri": REDIRECT.replace("127.0.0.1", "127.0.0.1@evil.example")},
        {"redirect_uri": "javascript:alert(1)"},
        {"state": "\u00e9"},
        {"state": "x" * 1_025},
    ],
)
async def test_what_cannot_be_trusted_is_told_here_and_never_redirected(
    w: World, changes: dict[str, str | None]
) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = await w.http.get(question(agent, **changes).path)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text
    assert (await w.http.get(question(agent).path)).status_code == 200


@pytest.mark.req("DEL-10")
async def test_a_suspended_agent_gets_no_page(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    agent.state = "suspended"
    assert (await w.http.get(question(agent).path)).status_code == 400


@pytest.mark.req("OAU-03")
@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "https://app.example/cb#part",
        "https://user@app.example/cb",
        "https://app.example/a/../cb",
        "https://app.example/..;/cb",
        "https://app.example\\@evil.example/",
        "https://app.example/%2e%2e/cb",
        "https://APP.example/cb",
        "https://*.example/cb",
        "https://app.ex\u00e4mple/cb",
        "https://app.example:0/cb",
        "https://app.example:99999/cb",
        "https:///cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "app:/cb",
        "http://127.0.0.1.evil.example/cb",
        "https://app.example/c b",
        "https://app.example/cb\r\nX: y",
    ],
)
def test_a_tricky_redirect_uri_is_refused_even_when_registered(uri: str) -> None:
    assert not is_redirect_uri(uri)
    with pytest.raises(InvalidParameter):
        require_redirect_uri(uri, [uri])


@pytest.mark.req("OAU-03")
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb",
        "https://app.example/cb?a=b",
        "http://127.0.0.1/cb",
        "http://[::1]:80/cb",
        "com.example.app:/cb",
    ],
)
def test_an_honest_redirect_uri_is_kept_exactly(uri: str) -> None:
    assert require_redirect_uri(uri, [uri]) == uri


@pytest.mark.req("OAU-03")
def test_only_the_port_of_a_loopback_address_is_free() -> None:
    registered = ["http://127.0.0.1/cb", "https://app.example:8443/cb"]
    assert require_redirect_uri("http://127.0.0.1:51000/cb", registered)
    for other in ("http://127.0.0.1:51000/cb2", "http://[::1]:51000/cb", "https://app.example/cb"):
        with pytest.raises(InvalidParameter):
            require_redirect_uri(other, registered)


def test_a_missing_redirect_uri_is_the_only_registered_one() -> None:
    assert require_redirect_uri(None, ["https://app.example/cb"]) == "https://app.example/cb"
    for registered in ([], ["https://a.example/", "https://b.example/"], ["http://127.0.0.1/cb"]):
        with pytest.raises(InvalidParameter):
            require_redirect_uri(None, registered)


async def consent_form(w: World, browser: Browser, agent: Actor) -> tuple[str, list[tuple[str, str]]]:
    path = question(agent).path
    page = form_of((await browser.login(path)).text)
    return path, [*page.fields.items(), ("scope_item", page.boxes[0]), ("decision", "allow")]


@pytest.mark.req("OAU-08", "WEB-05")
async def test_a_form_counts_only_from_our_page_in_the_same_browser(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    path, pairs = await consent_form(w, browser, agent)
    forged = [(name, "AAAA" if name == "csrf_token" else value) for name, value in pairs]
    without = [(name, value) for name, value in pairs if name != "csrf_token"]
    attempts = [
        await browser.submit(path, pairs, Origin="https://evil.example"),
        await browser.submit(path, pairs, Origin="null"),
        await browser.submit(path, pairs, **{"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
        await browser.submit(path, forged),
        await browser.submit(path, without),
        await Browser(w).submit(path, pairs),
        # The token of one request does not consent to another.
        await browser.submit(question(agent).path, pairs),
    ]
    assert {answer.status_code for answer in attempts} == {400}
    no_referrer = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert "code" in answered(await browser.submit(path, pairs, **no_referrer))


@pytest.mark.req("OAU-08")
async def test_consent_cannot_be_given_without_having_signed_in(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    path = question(agent).path
    fields = form_of((await browser.get(path)).text).fields
    pairs = [("csrf_token", fields["csrf_token"]), ("scope_item", "tool:list_menu"), ("decision", "allow")]
    answer = await browser.submit(path, pairs)
    assert "<h1>Sign in" in answer.text


@pytest.mark.req("OAU-08", "DEL-04")
async def test_a_box_that_was_not_on_the_page_cannot_be_ticked(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    path, pairs = await consent_form(w, browser, agent)
    answer = await browser.submit(path, [*pairs, ("scope_item", "tool:delete_order")])
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.req("WEB-06")
async def test_the_session_cookie_is_confined_and_changes_at_login(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    path = question(agent).path
    first = await browser.get(path)
    before = browser.http.cookies["did-agent"]
    sent = first.headers["set-cookie"].lower()
    assert "httponly" in sent
    assert "samesite=lax" in sent
    assert "path=/" in sent
    assert "domain" not in sent
    await browser.login(path)
    assert browser.http.cookies["did-agent"] != before
    # The cookie from before the login was never a session.
    thief = Browser(w)
    thief.http.cookies.set("did-agent", before)
    assert "<h1>Sign in" in (await thief.get(path)).text


@pytest.mark.req("WEB-06")
def test_over_https_the_cookie_is_secure_and_bound_to_the_host() -> None:
    binding = Binding(issuer="https://bridge.example", csrf_key=b"k")
    assert binding.cookie_name.startswith("__Host-")
    assert binding.is_secure
    assert not Binding(issuer="http://127.0.0.1:8400", csrf_key=b"k").is_secure


@pytest.mark.req("WEB-05", "OAU-08")
async def test_the_pages_cannot_be_framed_scripted_or_cached(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    login = await w.http.get(question(agent).path)
    error = await w.http.get("/authorize")
    for answer in (login, error):
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    # Browsers apply form-action to the redirect after the form too.
    assert "form-action 'self' http://127.0.0.1:9999" in login.headers["content-security-policy"]


@pytest.mark.req("WEB-05", "OAU-08")
async def test_names_and_words_are_shown_as_text(w: World) -> None:
    agent = w.agent("<script>alert(1)</script>", "list_menu")
    page = await Browser(w).login(question(agent).path)
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.req("OAU-16", "OAU-15")
async def test_guessing_is_stopped_for_a_quarter_of_an_hour(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    path = question(agent).path
    for _ in range(10):
        assert (await Browser(w).login(path, password="wrong guess")).status_code == 403
    stopped = await Browser(w).login(path)
    assert stopped.status_code == 429
    assert "smith" not in stopped.text
    w.clock.forward(15 * 60)
    assert "<h1>Allow" in (await Browser(w).login(path)).text


@pytest.mark.req("OAU-05")
async def test_a_parameter_sent_twice_is_refused_in_query_and_form_together(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    path = question(agent).path
    assert (await browser.get(path + "&" + urlencode({"state": "again"}))).status_code == 400
    fields = form_of((await browser.get(path)).text).fields
    pairs = [*({**fields, "username": "smith", "password": PASSWORD}).items(), ("state", "again")]
    assert (await browser.submit(path, pairs)).status_code == 400


@pytest.mark.req("OAU-13", "WEB-09")
async def test_urls_never_come_from_the_host_header(w: World) -> None:
    answer = await w.http.get("/.well-known/oauth-authorization-server", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "evil.example" not in answer.text


@pytest.mark.req("OPS-02")
async def test_what_is_stored_opens_nothing(w: World) -> None:
    agent, browser = w.agent("ordering", "list_menu"), Browser(w)
    answer = await browser.consent(question(agent).path)
    if not w.database.startswith("sqlite"):
        pytest.skip("reads the SQLite files")
    stored = b"".join(path.read_bytes() for path in Path(w.data).glob("bridge.db*"))
    for secret in (answer["code"], browser.http.cookies["did-agent"], PASSWORD):
        assert secret.encode() not in stored
    assert repr(SigningKey.generate()) == "SigningKey(…)"
    assert origin(w.url)
