"""The account page at a real bridge: what a person allowed, its receipts, and taking it back."""

from __future__ import annotations

from typing import Any

import pytest

from did_agent.proof.jose import parse_compact
from tests.fakes.bridge_clients import asked, open_to_clients, publisher
from tests.fakes.bridge_world import (
    PASSWORD,
    REDIRECT,
    Actor,
    Browser,
    World,
    claims_of,
    form_of,
    question,
    w,
)

__all__ = ["w"]


async def allow(w: World, agent: Actor, browser: Browser, *, offline: bool = False) -> dict[str, Any]:
    """Walk a delegation; return the token answer."""
    asking = question(agent, scope="tool:list_menu offline_access" if offline else None)
    code = (await browser.consent(asking.path, offline=offline))["code"]
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": asking.verifier}
    return dict((await w.token({**fields, "redirect_uri": REDIRECT, **w.assertion(agent.key)})).json())


def consents_on(page: str) -> list[str]:
    return [value for value in form_of(page).buttons if value not in ("yes", "")]


async def withdraw(browser: Browser, consent_id: str) -> Any:
    page = form_of((await browser.get("/account")).text)
    fields = {"csrf_token": page.fields["csrf_token"], "withdraw": consent_id}
    return await browser.submit("/account", fields.items())


async def test_a_person_sees_who_acts_for_them_and_withdraws_it(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu", "create_order"), Browser(w)
    given = await allow(w, agent, browser, offline=True)
    page = (await browser.get("/account")).text
    for told in ("Jo Smith", "orders", agent.did, "Urban Bites operations", "may list_menu", "23 December 2026"):
        assert told in page
    assert "may create_order" not in page
    (consent_id,) = consents_on(page)
    answer = await withdraw(browser, consent_id)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{w.url}/account")
    page = (await browser.get("/account")).text
    assert "Nobody acts for you at the moment." in page
    assert "withdrawn 23 November 2026" in page
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    assert [claims_of(item["set"])["sub_id"]["uri"] for item in feed] == [claims_of(given["access_token"])["jti"]]
    fields = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], **w.assertion(agent.key)}
    assert (await w.token(fields)).json()["error"] == "invalid_grant"
    assert "consent.withdraw" in [event["action"] for event in await w.events()]
    assert (await withdraw(browser, consent_id)).status_code == 404


@pytest.mark.req("DEL-10")
async def test_a_code_that_was_not_redeemed_goes_with_its_consent(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    asking = question(agent)
    code = (await browser.consent(asking.path))["code"]
    (consent_id,) = consents_on((await browser.get("/account")).text)
    await withdraw(browser, consent_id)
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": asking.verifier}
    answer = await w.token({**fields, "redirect_uri": REDIRECT, **w.assertion(agent.key)})
    assert answer.json()["error"] == "invalid_grant"


async def test_a_receipt_is_signed_and_says_what_was_shown(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    await allow(w, agent, browser)
    (consent_id,) = consents_on((await browser.get("/account")).text)
    answer = await browser.get(f"/account/receipts/{consent_id}")
    assert answer.headers["content-type"] == "application/consent-receipt+jwt"
    assert "attachment" in answer.headers["content-disposition"]
    assert parse_compact(answer.text).type == "consent-receipt+jwt"
    claims = claims_of(answer.text)
    assert (claims["iss"], claims["sub"], claims["agent"], claims["jti"]) == (w.url, "smith", agent.did, consent_id)
    assert claims["scopes"] == {"tool:list_menu": "may list_menu"}
    assert claims["redirect_host"] == "127.0.0.1:9999"


@pytest.mark.req("OAU-10")
async def test_every_request_is_a_question_of_its_own(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    await allow(w, agent, browser)
    again = await browser.get(question(agent).path)
    assert "to act for you?" in again.text
    await allow(w, agent, browser)
    assert len(consents_on((await browser.get("/account")).text)) == 2


async def test_a_program_without_an_agent_is_listed_by_its_own_name(w: World) -> None:
    await open_to_clients(w)
    browser = Browser(w)
    async with publisher() as site:
        await browser.consent(asked(site.client_id).path)
        page = (await browser.get("/account")).text
        assert "Notebook" in page
        assert site.client_id in page


@pytest.mark.req("WEB-02", "WEB-01")
async def test_nobody_sees_or_withdraws_what_is_anothers(w: World) -> None:
    await w.put_user("jones", "list_menu")
    agent, smith, jones = w.agent("orders", "list_menu"), Browser(w), Browser(w)
    await allow(w, agent, smith)
    (consent_id,) = consents_on((await smith.get("/account")).text)
    fields = form_of((await jones.get("/account")).text).fields | {"username": "jones", "password": PASSWORD}
    assert (await jones.submit("/account", fields.items())).status_code == 303
    assert "Nobody acts for you" in (await jones.get("/account")).text
    assert (await withdraw(jones, consent_id)).status_code == 404
    foreign, unknown = [await jones.get(f"/account/receipts/{one}") for one in (consent_id, "x" * 43)]
    assert foreign.status_code == unknown.status_code == 404
    assert (await w.http.get(f"/account/receipts/{consent_id}")).status_code == 404
    assert len(consents_on((await smith.get("/account")).text)) == 1


@pytest.mark.req("WEB-05", "OAU-15")
async def test_the_account_is_behind_a_login_and_its_own_forms(w: World) -> None:
    browser = Browser(w)
    page = await browser.get("/account")
    assert "Sign in" in page.text
    for header in ("content-security-policy", "x-content-type-options", "referrer-policy"):
        assert header in page.headers
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    fields = form_of(page.text).fields
    for name in ("smith", "nobody"):
        wrong = await browser.submit("/account", (fields | {"username": name, "password": "x"}).items())
        assert (wrong.status_code, "User name or password is wrong." in wrong.text) == (403, True)
    good = fields | {"username": "smith", "password": PASSWORD}
    assert (await browser.submit("/account", good.items(), Origin="https://evil.example")).status_code == 400
    assert (await browser.submit("/account", (good | {"csrf_token": "x"}).items())).status_code == 400
    before = browser.http.cookies["did-agent"]
    assert (await browser.submit("/account", good.items())).status_code == 303
    assert browser.http.cookies["did-agent"] != before  # a login changes the session (WEB-06)
    fields = form_of((await browser.get("/account")).text).fields
    out = await browser.submit("/account", {"csrf_token": fields["csrf_token"], "sign_out": "yes"}.items())
    assert "Sign in" in out.text
    assert "Sign in" in (await browser.get("/account")).text


@pytest.mark.req("WEB-08")
async def test_hostile_names_stay_text(w: World) -> None:
    agent, browser = w.agent("<b>x</b>\u202e", "list_menu"), Browser(w)
    agent.name = "<script>alert(1)</script>" + "W" * 60
    await allow(w, agent, browser)
    page = (await browser.get("/account")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
