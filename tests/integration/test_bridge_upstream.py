"""Signing in at a company's OpenID provider: who a person becomes here, and everything a provider can get wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from bridge.upstream import MAX_GROUPS
from tests.fakes.bridge_world import (
    _DATABASES,
    PASSWORD,
    START,
    Browser,
    Clock,
    World,
    cheap_passwords,
    form_of,
    question,
    world,
)
from tests.fakes.upstream.dishonest import CLIENT_ID, CLIENT_SECRET, CURVE, OTHER, Dishonest, dishonest


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(clock: Clock) -> AsyncIterator[Dishonest]:
    async with dishonest(clock) as running:
        yield running


@pytest.fixture(params=_DATABASES, ids=lambda url: "postgres" if url else "sqlite")
async def w(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provider: Dishonest,
    clock: Clock,
) -> AsyncIterator[World]:
    """A bridge that lets in local accounts and the company's people."""
    cheap_passwords(monkeypatch)
    asked = {"upstream_issuer": provider.issuer, "upstream_client_id": CLIENT_ID}
    async with world(
        tmp_path, database=request.param, clock=clock, upstream_client_secret=CLIENT_SECRET, **asked
    ) as running:
        await running.put_resource()
        await running.put_user("smith", "list_menu")
        yield running


async def leave(browser: Browser, path: str = "/account") -> str:
    """Click the company's button; return where the browser is sent."""
    page = await browser.get(path)
    query = urlsplit(path).query
    assert "Sign in with 127.0.0.1" in page.text
    sent = await browser.get(f"/login/upstream{'?' + query if query else ''}")
    assert sent.status_code == 303, sent.text
    return str(sent.headers["location"])


async def at_provider(place: str) -> str:
    """Sign in at the provider; return the path and query of the way back."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        parts = urlsplit((await http.get(place)).headers["location"])
    return f"{parts.path}?{parts.query}"


async def sign_in(browser: Browser, path: str = "/account") -> httpx2.Response:
    return await browser.get(await at_provider(await leave(browser, path)))


async def refused(w: World, browser: Browser, answer: httpx2.Response, code: str) -> None:
    """Assert that nobody was let in, and that the audit log says why while the page does not."""
    assert answer.status_code == 403, answer.text
    assert "You are not signed in" in answer.text
    last = (await w.events())[-1]
    assert (last["action"], last["decision"], last["reason"]) == ("user.login", "deny", code)
    assert code not in answer.text
    assert "Sign in" in (await browser.get("/account")).text


async def people(w: World) -> dict[str, dict[str, Any]]:
    found = (await w.http.get("/users", headers=await w.admin_headers())).json()["users"]
    return {one["username"]: one for one in found}


async def test_a_person_of_the_company_becomes_an_account_and_stays_it(w: World, provider: Dishonest) -> None:
    browser = Browser(w)
    answer = await sign_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{w.url}/account")
    page = (await browser.get("/account")).text
    assert "Avery Jones" in page
    (username,) = (await people(w)).keys() - {"smith"}
    assert (await people(w))[username]["groups"] == ["kitchen"]
    (login,) = [event for event in await w.events() if event["action"] == "user.login"]
    assert (login["principal"], login["decision"]) == (username, "allow")
    provider.claims = {"name": "Avery Smith", "groups": ["kitchen", "managers"], "email": "other@company.example"}
    assert (await sign_in(Browser(w))).status_code == 303
    assert (await people(w)).keys() == {"smith", username}  # the same subject is the same account, whatever its e-mail
    assert (await people(w))[username]["groups"] == ["kitchen", "managers"]
    assert "Avery Smith" in (await browser.get("/account")).text  # and the first session goes on
    asked = provider.asked[0]
    assert asked["scope"] == "openid profile groups"
    assert (asked["code_challenge_method"], asked["client_id"]) == ("S256", CLIENT_ID)
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


@pytest.mark.req("WEB-06")
async def test_who_leaves_a_group_is_signed_out_everywhere_else(w: World, provider: Dishonest) -> None:
    first = Browser(w)
    await sign_in(first)
    provider.claims = {"groups": None}
    second = Browser(w)
    await sign_in(second)
    assert "Sign in" in (await first.get("/account")).text
    assert "Nobody acts for you" in (await second.get("/account")).text
    assert {one["username"]: one["groups"] for one in (await people(w)).values() if one["groups"]} == {}


async def test_a_login_leads_back_to_the_question(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    path = question(agent).path
    answer = await sign_in(browser, path)
    assert answer.headers["location"] == f"{w.url}{path}"


@pytest.mark.req("DEL-11")
async def test_an_account_the_operator_linked_keeps_what_the_operator_said(w: World, provider: Dishonest) -> None:
    body = {"issuer": provider.issuer, "subject": "00u1", "username": "smith"}
    answer = await w.http.put("/identities", json=body, headers=await w.admin_headers())
    assert answer.status_code == 204
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    await sign_in(browser, question(agent).path)
    assert "to act for you?" in (await browser.get(question(agent).path)).text
    assert (await people(w)).keys() == {"smith"}
    assert (await people(w))["smith"]["groups"] == []


async def test_the_name_of_a_deleted_account_does_not_pass_its_login_on(w: World, provider: Dishonest) -> None:
    headers = await w.admin_headers()
    body = {"issuer": provider.issuer, "subject": "00u1", "username": "smith"}
    await w.http.put("/identities", json=body, headers=headers)
    assert (await w.http.delete("/users/smith", headers=headers)).status_code == 204
    await w.put_user("smith", "list_menu", "delete_order")  # another person
    browser = Browser(w)
    await sign_in(browser)
    assert "Avery Jones" in (await browser.get("/account")).text


async def test_a_company_account_has_no_password(w: World) -> None:
    await sign_in(Browser(w))
    (username,) = (await people(w)).keys() - {"smith"}
    for password in ("x", PASSWORD):
        assert (await Browser(w).login("/account", username=username, password=password)).status_code == 403


@pytest.mark.req("WEB-06")
async def test_the_session_is_another_one_after_the_login(w: World) -> None:
    browser = Browser(w)
    await browser.get("/account")
    before = browser.http.cookies["did-agent"]
    await sign_in(browser)
    assert browser.http.cookies["did-agent"] != before
    fixed = Browser(w)
    fixed.http.cookies.set("did-agent", before)
    assert "Sign in" in (await fixed.get("/account")).text


async def test_signing_out_ends_our_session(w: World) -> None:
    browser = Browser(w)
    await sign_in(browser)
    fields = form_of((await browser.get("/account")).text).fields
    out = await browser.submit("/account", {"csrf_token": fields["csrf_token"], "sign_out": "yes"}.items())
    # The provider would let the same person in again without a word.
    assert "/login/upstream/again" in out.text
    assert "Sign in" in (await browser.get("/account")).text
    again = await browser.get("/login/upstream/again")
    assert parse_qs(urlsplit(again.headers["location"]).query)["prompt"] == ["login"]


# ---- what must not let anybody in


@pytest.mark.req("OAU-09")
async def test_an_answer_without_our_state_or_twice_is_refused(w: World) -> None:
    for state in (None, "", "x" * 43):
        browser = Browser(w)
        back = urlsplit(await at_provider(await leave(browser)))
        query = {name: values[0] for name, values in parse_qs(back.query).items()} | {"state": state}
        sent = urlencode({name: value for name, value in query.items() if value is not None})
        await refused(w, browser, await browser.get(f"{back.path}?{sent}"), "wrong_challenge")
    browser = Browser(w)
    back_to = await at_provider(await leave(browser))
    assert (await browser.get(back_to)).status_code == 303
    assert (await browser.get(back_to)).status_code == 403


@pytest.mark.req("OAU-09", "OAU-02")
async def test_an_answer_belongs_to_the_browser_that_asked(w: World) -> None:
    mallory, victim = Browser(w), Browser(w)
    answer = await at_provider(await leave(mallory))
    await victim.get("/account")
    await refused(w, victim, await victim.get(answer), "wrong_challenge")  # a code put into another's browser
    assert (await w.http.get(answer)).status_code == 403  # and into one without a cookie
    assert (await mallory.get(answer)).status_code == 303  # which did not use it up


@pytest.mark.req("OAU-02")
async def test_a_code_from_another_login_is_refused(w: World) -> None:
    first, second = Browser(w), Browser(w)
    code = parse_qs(urlsplit(await at_provider(await leave(first))).query)["code"][0]
    own = urlsplit(await at_provider(await leave(second)))
    query = {name: values[0] for name, values in parse_qs(own.query).items()} | {"code": code}
    # PKCE: the provider gives the ID token only to who asked for that code.
    await refused(w, second, await second.get(f"{own.path}?{urlencode(query)}"), "bad_grant")


async def test_a_login_that_took_too_long_is_refused(w: World) -> None:
    browser = Browser(w)
    back_to = await at_provider(await leave(browser))
    w.clock.forward(600)
    await refused(w, browser, await browser.get(back_to), "expired")


@pytest.mark.req("OAU-04")
@pytest.mark.parametrize("said", ["https://evil.example", None], ids=["another's", "missing"])
async def test_an_answer_of_another_provider_is_refused(w: World, provider: Dishonest, said: str | None) -> None:
    provider.answer = {"iss": said}
    browser = Browser(w)
    await refused(w, browser, await sign_in(browser), "wrong_issuer")


NOW = int(START.timestamp())
SPOILED = {
    "nonce of another login": ({"nonce": "x" * 43}, "wrong_challenge"),
    "no nonce": ({"nonce": None}, "wrong_challenge"),
    "for another client": ({"aud": "another"}, "wrong_audience"),
    "for two and no azp": ({"aud": [CLIENT_ID, "another"]}, "wrong_audience"),
    "made for another": ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "wrong_audience"),
    "of another issuer": ({"iss": "https://evil.example"}, "wrong_issuer"),
    "issuer with a slash": ({"iss": "http://127.0.0.1/"}, "wrong_issuer"),
    "over": ({"exp": NOW - 31}, "expired"),
    "old": ({"iat": NOW - 631}, "expired"),
    "from the future": ({"iat": NOW + 31}, "not_yet_valid"),
    "for ever": ({"exp": None}, "bad_jose"),
    "no time": ({"iat": "yesterday"}, "bad_jose"),
    "no subject": ({"sub": None}, "bad_jose"),
    "endless subject": ({"sub": "x" * 256}, "bad_jose"),
    "groups as a text": ({"groups": "kitchen managers"}, "bad_jose"),
    "groups of numbers": ({"groups": [1]}, "bad_jose"),
    "hidden group": ({"groups": ["kitchen\u202e"]}, "bad_jose"),
    "endless groups": ({"groups": [str(number) for number in range(MAX_GROUPS + 1)]}, "bad_jose"),
    "name as a list": ({"name": ["x"]}, "bad_jose"),
}


@pytest.mark.req("OAU-09")
async def test_an_id_token_that_is_not_right_in_everything_is_refused(w: World, provider: Dishonest) -> None:
    for changes, code in SPOILED.values():
        provider.claims = changes
        browser = Browser(w)
        await refused(w, browser, await sign_in(browser), code)


async def test_what_is_right_at_the_boundary_is_taken(w: World, provider: Dishonest) -> None:
    provider.claims = {"aud": [CLIENT_ID, "x"], "azp": CLIENT_ID, "exp": NOW - 29, "iat": NOW - 630, "sub": "x" * 255}
    assert (await sign_in(Browser(w))).status_code == 303


FORGED: tuple[tuple[dict[str, str], Any, str], ...] = (
    ({"alg": "none", "kid": "one"}, None, "wrong_algorithm"),
    ({"alg": "HS256", "kid": "one"}, None, "wrong_algorithm"),  # the public key as a shared secret
    ({"alg": "RS256", "kid": "one"}, OTHER, "bad_signature"),
    ({"alg": "RS256", "kid": "two"}, OTHER, "wrong_key"),
    ({"alg": "ES256", "kid": "one"}, CURVE, "wrong_key"),  # a key of another kind
)


@pytest.mark.req("TOK-01", "OAU-09")
async def test_an_id_token_must_be_signed_by_the_provider(w: World, provider: Dishonest) -> None:
    for header, key, code in FORGED:
        provider.header, provider.key = header, key
        browser = Browser(w)
        await refused(w, browser, await sign_in(browser), code)


async def test_a_provider_may_sign_with_a_curve_and_rotate(w: World, provider: Dishonest) -> None:
    provider.header, provider.key = {"alg": "ES256", "kid": "curve"}, CURVE
    assert (await sign_in(Browser(w))).status_code == 303
    provider.header, provider.key, provider.keys = {"alg": "RS256", "kid": "one"}, OTHER, [OTHER]
    w.clock.forward(600)
    assert (await sign_in(Browser(w))).status_code == 303


async def test_a_person_who_cancels_and_a_provider_that_is_away(w: World, provider: Dishonest) -> None:
    provider.answer = {"code": None, "error": "access_denied"}
    browser = Browser(w)
    await refused(w, browser, await sign_in(browser), "bad_grant")
    provider.answer, provider.is_away = {}, True
    w.clock.forward(600)
    assert (await browser.get("/login/upstream")).status_code == 503
    assert "Sign in" in (await browser.get("/account")).text  # local accounts go on


@pytest.mark.req("OAU-03")
async def test_no_parameter_says_where_to_go_after_the_login(w: World) -> None:
    for query in ("continue=https://evil.example", "next=//evil.example", "redirect_uri=https://evil.example"):
        browser = Browser(w)
        await browser.get("/account")
        sent = await browser.get(f"/login/upstream?{query}")
        answer = await browser.get(await at_provider(sent.headers["location"]))
        assert answer.headers["location"] == f"{w.url}/authorize?{query}"
        assert (await browser.get(answer.headers["location"])).status_code == 400


@pytest.mark.req("WEB-05")
async def test_another_site_cannot_start_a_login(w: World) -> None:
    browser = Browser(w)
    assert (await browser.get("/login/upstream")).status_code == 400  # it never saw our page
    await browser.get("/account")
    answer = await browser.http.get("/login/upstream", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 400
    doubled = await at_provider(await leave(browser)) + "&state=x"
    assert (await browser.get(doubled)).status_code == 400


# ---- the operator's look


async def examine(w: World) -> dict[str, Any]:
    answer = await w.http.post("/upstream/test", headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {"ok": found["ok"], **{step["step"]: step["detail"] for step in found["steps"] if not step["ok"]}}


async def test_the_examination_says_what_is_wrong(w: World, provider: Dishonest) -> None:
    assert await examine(w) == {"ok": True}
    provider.document = {"issuer": provider.issuer + "/"}
    assert "calls itself" in (await examine(w))["issuer"]
    provider.document = {"token_endpoint": "http://elsewhere.example/token"}
    assert "is no https URL" in (await examine(w))["token_endpoint"]
    provider.document = {"id_token_signing_alg_values_supported": ["HS256"]}
    assert "offers HS256" in (await examine(w))["id_token_signing_alg_values_supported"]
    provider.document, provider.keys = {}, []
    assert "no list of keys" in (await examine(w))["keys"]
    provider.is_away = True
    assert "answered 500" in (await examine(w))["discovery"]
    assert (await w.http.post("/upstream/test")).status_code == 401


async def test_the_examination_finds_a_wrong_secret(tmp_path: Path, provider: Dishonest, clock: Clock) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    asked = {"upstream_issuer": provider.issuer, "upstream_client_id": CLIENT_ID, "local_accounts": False}
    async with world(tmp_path, clock=clock, upstream_client_secret_file=secret, **asked) as w:
        assert "'invalid_client'" in (await examine(w))["client"]
        page = (await w.http.get("/account")).text
        assert "password" not in page.replace("your password", "")
        browser = Browser(w)
        fields = form_of((await browser.get("/account")).text).fields
        secret.write_text(CLIENT_SECRET)
        sent = {"csrf_token": fields.get("csrf_token", ""), "username": "smith", "password": PASSWORD}
        assert (await browser.submit("/account", sent.items())).status_code in (400, 403)
    async with world(tmp_path, clock=clock, upstream_client_secret_file=secret, **asked) as w:
        assert await examine(w) == {"ok": True}
        assert (await sign_in(Browser(w))).status_code == 303
