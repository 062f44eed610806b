"""Login and consent in a browser without script, up to the redirect back."""

from __future__ import annotations

import pytest

from tests.fakes.bridge_world import (
    PASSWORD,
    REDIRECT,
    RESOURCE,
    Browser,
    World,
    answered,
    claims_of,
    form_of,
    question,
    redeem,
    w,
)

__all__ = ["w"]


async def test_the_answer_carries_code_state_and_issuer(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = await Browser(w).consent(question(agent).path)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("st-42", w.url)


async def test_the_consent_page_tells_who_asks_for_what_where_and_for_how_long(w: World) -> None:
    agent = w.agent("ordering-assistant", "list_menu", "create_order", "update_stock")
    page = await Browser(w).login(question(agent).path)
    for told in (
        "ordering-assistant",
        f"{agent.did[:13]}…{agent.did[-4:]}",
        "Urban Bites operations",
        "Urban Bites",
        RESOURCE,
        "Jo Smith",
        "may create_order",
        "5 minutes",
        "127.0.0.1:9999",
        "program on this device",
    ):
        assert told in page.text, told
    # Smith may not update the stock, so there is nothing to consent to.
    assert form_of(page.text).boxes == ["tool:create_order", "tool:list_menu"]


async def test_the_pages_hold_no_script_and_name_their_language_and_labels(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    browser = Browser(w)
    login = (await browser.get(question(agent).path)).text
    consent = (await browser.login(question(agent).path)).text
    for page in (login, consent):
        assert "<script" not in page
        assert " style=" not in page
        assert '<html lang="en">' in page
        assert page.count("<label") >= 1
    style = await w.http.get("/bridge.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in style.text


async def test_the_user_may_tick_less_and_the_token_has_no_more(w: World) -> None:
    agent = w.agent("ordering", "list_menu", "create_order")
    asked = question(agent)
    answer = await Browser(w).consent(asked.path, ticks=["tool:list_menu"])
    token = (await redeem(w, agent, answer["code"], asked.verifier)).json()
    assert token["scope"] == "tool:list_menu"
    assert "tool:create_order" in claims_of(token["access_token"])["entitlements"]


async def test_the_user_may_say_no(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = await Browser(w).consent(question(agent).path, decision="deny")
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "st-42", w.url)
    denied = [event for event in await w.events() if event["action"] == "consent.give"]
    assert (denied[0]["decision"], denied[0]["principal"], denied[0]["actors"]) == ("deny", "smith", [agent.did])


async def test_ticking_nothing_is_a_no(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = await Browser(w).consent(question(agent).path, ticks=[])
    assert answer["error"] == "access_denied"


async def test_a_signed_in_browser_goes_straight_to_consent(w: World) -> None:
    first, second = w.agent("first", "list_menu"), w.agent("second", "list_menu")
    browser = Browser(w)
    await browser.consent(question(first).path)
    page = await browser.get(question(second).path)
    assert "Allow" in page.text
    assert "second" in page.text


async def test_a_session_ends_by_idling_and_by_age(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    browser, path = Browser(w), question(agent).path
    await browser.login(path)
    w.clock.forward(29 * 60)
    assert "<h1>Allow" in (await browser.get(path)).text
    w.clock.forward(31 * 60)
    assert "<h1>Sign in" in (await browser.get(path)).text


async def test_somebody_else_can_sign_in_instead(w: World) -> None:
    await w.put_user("jones", "list_menu")
    agent = w.agent("ordering", "list_menu")
    browser, path = Browser(w), question(agent).path
    page = form_of((await browser.login(path)).text)
    login = await browser.submit(path, [*page.fields.items(), ("decision", "switch")])
    assert "<h1>Sign in" in login.text
    again = await browser.login(path, username="jones")
    assert "jones" in again.text


async def test_a_wrong_password_and_an_unknown_name_are_told_alike(w: World) -> None:
    path = question(w.agent("ordering", "list_menu")).path
    wrong = await Browser(w).login(path, password="not this one")
    unknown = await Browser(w).login(path, username="nobody")
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    sentence = "User name or password is wrong."
    assert sentence in wrong.text
    assert sentence in unknown.text
    reasons = [event["reason"] for event in await w.events() if event["action"] == "user.login"]
    assert reasons == ["wrong_password", "wrong_password"]


async def test_a_client_may_leave_out_what_has_one_meaning(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    asked = question(agent, resource=None, requested_actor=None, state=None)
    answer = await Browser(w).consent(asked.path)
    assert set(answer) == {"code", "iss"}
    assert (await redeem(w, agent, answer["code"], asked.verifier)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://unknown.example"}, "invalid_target"),
        ({"requested_actor": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}, "invalid_request"),
        ({"scope": 'tool:"quoted"'}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_a_request_that_cannot_be_served_goes_back_with_error_state_and_issuer(
    w: World, changes: dict[str, str | None], error: str
) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = answered(await w.http.get(question(agent, **changes).path))
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "st-42", w.url)


async def test_nothing_left_to_consent_to_goes_back_naming_the_empty_term(w: World) -> None:
    for tools, scope, term in ((("update_stock",), None, "user"), (("list_menu",), "tool:create_order", "agent")):
        agent = w.agent("ordering", *tools)
        answer = answered(await Browser(w).login(question(agent, scope=scope).path))
        assert answer["error"] == "invalid_scope"
        assert term in answer["error_description"]


async def test_the_deployments_own_parties_are_nothing_to_consent_to(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    answer = answered(await w.http.get(question(agent, resource=w.url).path))
    assert answer["error"] == "invalid_target"


async def test_any_loopback_port_is_the_registered_redirect(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    other_port = REDIRECT.replace(":9999", ":51234")
    answer = await Browser(w).consent(question(agent, redirect_uri=other_port).path)
    assert "code" in answer


async def test_a_new_password_ends_sessions_and_codes(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    browser, asked = Browser(w), question(agent)
    answer = await browser.consent(asked.path)
    await w.put_user("smith", "list_menu", password=PASSWORD + "!")
    assert "<h1>Sign in" in (await browser.get(asked.path)).text
    refused = await redeem(w, agent, answer["code"], asked.verifier)
    assert refused.json()["error"] == "invalid_grant"
