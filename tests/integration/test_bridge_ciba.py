"""Asking a person out of band at a real bridge: bounded questions, an answer that counts once, rights judged anew."""

from __future__ import annotations

import asyncio
import html

import pytest

from bridge.model.backchannel import MAX_OPEN_PER_PERSON
from did_agent.client.dpop import DPoPSigner
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.asking import CIBA, answer, answered, ask, asked, poll, polling, questions
from tests.fakes.bridge_clients import basic, register
from tests.fakes.bridge_policy import publish
from tests.fakes.bridge_world import (
    OTHER_RESOURCE,
    RESOURCE,
    Actor,
    Browser,
    World,
    claims_of,
    form_of,
    w,
)

__all__ = ["w"]


def error_of(response: object) -> str:
    return str(response.json()["error"])  # type: ignore[attr-defined]


async def test_a_person_allows_out_of_band_what_a_headless_agent_asked(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order", "update_stock")
    started = await ask(w, agent, binding_message="Order 4711", scope="tool:create_order tool:update_stock")
    assert started.status_code == 200, started.text
    assert started.headers["cache-control"] == "no-store"
    auth_req_id = started.json().pop("auth_req_id")
    assert started.json() == {"auth_req_id": auth_req_id, "expires_in": 300, "interval": 5}
    w.clock.forward(5)
    assert error_of(await poll(w, agent, auth_req_id)) == "authorization_pending"
    browser = Browser(w)
    (path,) = await questions(browser)
    page = (await browser.get(path)).text
    for told in ("orders", agent.did, "Urban Bites operations", "Order 4711", "may create_order", "Jo Smith"):
        assert told in page
    assert "update_stock" not in page  # smith may not
    assert (await answer(browser, path)).status_code == 303
    assert await questions(browser) == []
    redeemed = await poll(w, agent, auth_req_id)
    assert redeemed.status_code == 200, redeemed.text
    claims = claims_of(redeemed.json()["access_token"])
    assert (claims["sub"], claims["act"]["sub"], claims["aud"]) == ("smith", agent.did, RESOURCE)
    assert (claims["scope"], claims["client_id"]) == ("tool:create_order", agent.did)
    events = {event["action"]: event for event in await w.events()}
    assert events["consent.ask"]["client_id"] == agent.did
    assert (events["consent.give"]["decision"], events["consent.give"]["actors"]) == ("allow", [agent.did])
    assert events["token.issue"]["details"]["grant"] == "ciba"


async def test_the_metadata_tells_how_to_ask(w: World) -> None:
    told = (await w.http.get("/.well-known/oauth-authorization-server")).json()
    assert CIBA in told["grant_types_supported"]
    assert told["backchannel_authentication_endpoint"] == f"{w.url}/bc-authorize"
    assert told["backchannel_token_delivery_modes_supported"] == ["poll"]


@pytest.mark.req("OAU-17")
async def test_an_answer_counts_once(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    auth_req_id, _ = await answered(w, agent)
    answers = await asyncio.gather(*(poll(w, agent, auth_req_id) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200, *[400] * 7]
    assert {error_of(one) for one in answers if one.status_code == 400} == {"invalid_grant"}


@pytest.mark.req("OAU-17")
async def test_nobody_but_who_asked_gets_the_token(w: World) -> None:
    agent, other = w.agent("orders", "list_menu"), w.agent("other", "list_menu")
    auth_req_id, _ = await answered(w, agent)
    assert error_of(await poll(w, other, auth_req_id)) == "invalid_grant"
    assert error_of(await w.token({"grant_type": CIBA, "auth_req_id": auth_req_id})) == "invalid_client"
    assert error_of(await poll(w, agent, auth_req_id + "x")) == "invalid_grant"
    assert error_of(await poll(w, agent, auth_req_id, resource=OTHER_RESOURCE)) == "invalid_target"
    assert error_of(await poll(w, agent, auth_req_id, scope="tool:create_order")) == "invalid_scope"
    assert (await poll(w, agent, auth_req_id)).status_code == 200


@pytest.mark.req("OAU-17", "TOK-09")
async def test_the_key_that_asked_is_the_key_that_gets_the_token(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    own, thief = (DPoPSigner(key, clock=w.clock) for key in (agent.key, SigningKey.generate()))
    started = await ask(w, agent, {"DPoP": own.proof("POST", f"{w.url}/bc-authorize")})
    assert started.status_code == 200, started.text
    (path,) = await questions(browser)
    await answer(browser, path)
    form = polling(w, agent, started.json()["auth_req_id"])
    assert error_of(await w.token(form)) == "invalid_grant"
    form |= w.assertion(agent.key)
    assert error_of(await w.post("/token", form, DPoP=thief.proof("POST", f"{w.url}/token"))) == "invalid_grant"
    form |= w.assertion(agent.key)
    redeemed = await w.post("/token", form, DPoP=own.proof("POST", f"{w.url}/token"))
    assert redeemed.json()["token_type"] == "DPoP", redeemed.text
    assert "jkt" in claims_of(redeemed.json()["access_token"])["cnf"]


@pytest.mark.req("OAU-17")
async def test_a_no_is_a_no_and_keeps_the_agent_from_asking_again_for_a_while(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    auth_req_id, browser = await answered(w, agent, "deny")
    assert error_of(await poll(w, agent, auth_req_id)) == "access_denied"
    again = await ask(w, agent)
    assert (again.status_code, error_of(again)) == (429, "quota_exceeded")
    w.clock.forward(14 * 60)
    assert (await ask(w, agent)).status_code == 429
    w.clock.forward(60)
    auth_req_id = await asked(w, agent)
    (path,) = await questions(browser)
    await answer(browser, path, ticks=[])  # nothing ticked
    assert error_of(await poll(w, agent, auth_req_id)) == "access_denied"


@pytest.mark.req("OAU-17")
async def test_an_answer_after_its_time_is_none(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    auth_req_id = await asked(w, agent, requested_expiry="60")
    (path,) = await questions(browser)
    page = form_of((await browser.get(path)).text)
    w.clock.forward(59)
    assert error_of(await poll(w, agent, auth_req_id)) == "authorization_pending"
    w.clock.forward(1)
    assert (await browser.submit(path, [*page.fields.items(), ("decision", "allow")])).status_code == 404
    assert error_of(await poll(w, agent, auth_req_id)) == "expired_token"
    # An answer that nobody fetched in time is over too.
    auth_req_id, _ = await answered(w, agent, requested_expiry="60")
    w.clock.forward(60)
    assert error_of(await poll(w, agent, auth_req_id)) == "expired_token"


async def test_who_polls_too_fast_must_wait_longer_each_time(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    auth_req_id = await asked(w, agent)
    for seconds, expected in ((4, "slow_down"), (9, "slow_down"), (15, "authorization_pending"), (14, "slow_down")):
        w.clock.forward(seconds)
        assert error_of(await poll(w, agent, auth_req_id)) == expected
    # Polls decide nothing and are no events; what proved the client is spent nevertheless.
    assert not [event for event in await w.events() if event["action"] == "token.issue" and event["decision"] == "deny"]
    form, browser = polling(w, agent, auth_req_id), Browser(w)
    assert error_of(await w.token(form)) == "slow_down"
    (path,) = await questions(browser)
    await answer(browser, path)
    assert error_of(await w.token(form)) == "invalid_client"
    assert (await poll(w, agent, auth_req_id)).status_code == 200


@pytest.mark.req("OAU-15", "OAU-17")
async def test_asking_tells_nothing_of_whether_the_person_exists(w: World) -> None:
    agent, other = w.agent("orders", "list_menu"), w.agent("stock", "update_stock")
    known, unknown = await ask(w, agent), await ask(w, agent, login_hint="nobody")
    rightless = await ask(w, other)  # smith may not update the stock
    shapes = [{**one.json(), "auth_req_id": len(one.json()["auth_req_id"])} for one in (known, unknown, rightless)]
    assert shapes[0] == shapes[1] == shapes[2]
    w.clock.forward(5)
    for asker, one in ((agent, known), (agent, unknown), (other, rightless)):
        assert error_of(await poll(w, asker, one.json()["auth_req_id"])) == "authorization_pending"
    assert len(await questions(Browser(w))) == 1  # what cannot be allowed is not shown
    assert error_of(await ask(w, agent, login_hint="nobody")) == error_of(await ask(w, agent)) == "quota_exceeded"


@pytest.mark.req("OAU-17")
async def test_open_questions_to_one_person_are_few(w: World) -> None:
    agents = [w.agent(f"agent-{number}", "list_menu") for number in range(MAX_OPEN_PER_PERSON + 1)]
    answers = [await ask(w, agent) for agent in agents]
    assert [one.status_code for one in answers] == [*[200] * MAX_OPEN_PER_PERSON, 429]
    assert len(await questions(Browser(w))) == MAX_OPEN_PER_PERSON
    w.clock.forward(300)
    assert (await ask(w, agents[-1])).status_code == 200


@pytest.mark.req("OAU-17", "DEL-10")
@pytest.mark.parametrize("cause", ["agent", "account", "rights", "consent", "credential"])
async def test_what_ended_since_the_answer_ends_it(w: World, cause: str) -> None:
    agent = w.agent("orders", "list_menu")
    auth_req_id, browser = await answered(w, agent)
    if cause == "agent":
        agent.state = "suspended"
    elif cause == "account":
        await w.put_user("smith", "list_menu")  # a new password ends what the old one gave
    elif cause == "rights":
        await w.put_resource(tools=["create_order"])
    elif cause == "credential":
        agent.held.clear()
    else:
        page = form_of((await browser.get("/account")).text)
        (consent_id,) = (value for value in page.buttons if len(value) == 43)
        await browser.submit("/account", {"csrf_token": page.fields["csrf_token"], "withdraw": consent_id}.items())
    assert error_of(await poll(w, agent, auth_req_id)) in ("invalid_grant", "invalid_scope")


@pytest.mark.req("DEL-10")
async def test_withdrawing_the_consent_ends_the_token(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    auth_req_id, browser = await answered(w, agent)
    token = claims_of((await poll(w, agent, auth_req_id)).json()["access_token"])
    page = form_of((await browser.get("/account")).text)
    (consent_id,) = (value for value in page.buttons if len(value) == 43)
    receipt = claims_of((await browser.get(f"/account/receipts/{consent_id}")).text)
    assert (receipt["agent"], receipt["scopes"]) == (agent.did, {"tool:list_menu": "may list_menu"})
    await browser.submit("/account", {"csrf_token": page.fields["csrf_token"], "withdraw": consent_id}.items())
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    assert token["jti"] in [claims_of(item["set"])["sub_id"]["uri"] for item in feed]


@pytest.mark.req("OAU-17", "OAU-08")
async def test_a_question_is_answered_by_its_person_on_our_own_page_alone(w: World) -> None:
    await w.put_user("jones", "list_menu")
    agent, smith, jones = w.agent("orders", "list_menu"), Browser(w), Browser(w)
    auth_req_id = await asked(w, agent)
    (path,) = await questions(smith)
    assert await questions(jones, username="jones") == []
    assert (await jones.get(path)).status_code == 404
    stranger = await Browser(w).get(path)
    assert (stranger.status_code, stranger.headers["location"]) == (303, f"{w.url}/account")
    page = form_of((await smith.get(path)).text)
    own = [("scope_item", "tool:list_menu"), ("decision", "allow")]
    for pairs, headers in (
        ([("csrf_token", "x" * 43), *own], {}),
        ([*page.fields.items(), *own], {"Origin": "https://evil.example"}),
        ([*page.fields.items(), ("scope_item", "tool:create_order"), ("decision", "allow")], {}),
    ):
        assert (await smith.submit(path, pairs, **headers)).status_code == 400
    jones_form = form_of((await jones.get("/account")).text).fields
    assert (await jones.submit(path, [*jones_form.items(), *own])).status_code in (400, 404)
    assert error_of(await poll(w, agent, auth_req_id)) == "slow_down"
    assert (await smith.submit(path, [*page.fields.items(), *own])).status_code == 303
    assert (await smith.submit(path, [*page.fields.items(), *own])).status_code == 404  # answered


@pytest.mark.req("OAU-17", "DEL-03")
async def test_a_protected_agent_cannot_ask_whom_policy_does_not_name(w: World) -> None:
    await w.put_user("jones", "list_menu")
    agent = w.agent("orders", "list_menu")
    await publish(w, {"agents": [{"agent": agent.did, "users": ["jones"]}]})
    assert await asked(w, agent)
    assert await asked(w, agent, login_hint="jones")
    assert await questions(Browser(w)) == []
    assert len(await questions(Browser(w), username="jones")) == 1


BAD: tuple[tuple[dict[str, str | None], str], ...] = (
    ({"login_hint": None}, "invalid_request"),
    ({"login_hint": "x" * 129}, "invalid_request"),
    ({"login_hint": "smith\x00"}, "invalid_request"),
    ({"login_hint": None, "id_token_hint": "e30.e30."}, "invalid_request"),
    ({"login_hint_token": "e30.e30."}, "invalid_request"),
    ({"request": "e30.e30."}, "invalid_request"),
    ({"binding_message": "x" * 201}, "invalid_binding_message"),
    ({"binding_message": "pay\nnow"}, "invalid_binding_message"),
    ({"binding_message": "pay \u202eyap"}, "invalid_binding_message"),
    ({"requested_expiry": "0"}, "invalid_request"),
    ({"requested_expiry": "-5"}, "invalid_request"),
    ({"requested_expiry": "1e3"}, "invalid_request"),
    ({"scope": "tool:unheard_of"}, "invalid_scope"),
    ({"scope": "tool:delete_order"}, "invalid_scope"),  # not this agent's
    ({"resource": OTHER_RESOURCE}, "invalid_target"),
    ({"client_assertion": "e30.e30.e30"}, "invalid_client"),
)


@pytest.mark.req("OAU-17", "LIM-01")
async def test_a_bad_question_is_refused(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    for changes, expected in BAD:
        refused = await ask(w, agent, **changes)
        assert error_of(refused) == expected, changes
        assert refused.status_code == (401 if expected == "invalid_client" else 400)
    assert await questions(browser) == []
    assert (await ask(w, agent, binding_message="x" * 200, requested_expiry="999999")).json()["expires_in"] == 600


@pytest.mark.req("OAU-17", "OAU-07", "AUD-01")
async def test_who_is_no_active_agent_asks_nobody_and_it_is_recorded(w: World) -> None:
    agent, stranger = w.agent("orders", "list_menu"), Actor(key=SigningKey.generate(), name="stranger")
    agent.state = "suspended"
    for one in (agent, stranger):
        assert error_of(await ask(w, one)) == "invalid_client"
    agent.state = "active"
    assertion = w.assertion(agent.key)
    assert (await ask(w, agent, **assertion)).status_code == 200
    assert error_of(await ask(w, agent, **assertion)) == "invalid_client"  # spent
    reasons = [event["reason"] for event in await w.events() if event["action"] == "consent.ask"]
    assert reasons == ["agent_not_active", "unknown_agent", "allowed", "client_not_authenticated"]


async def test_a_client_that_acts_for_an_agent_asks_for_it_and_others_do_not(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    secret = await register(w, "portal", auth_method="client_secret_basic", agent=agent.did)
    plain = await register(w, "plain", auth_method="client_secret_basic")
    form = {"login_hint": "smith", "resource": RESOURCE}
    refused = await w.post("/bc-authorize", form, **basic("plain", plain))
    assert (refused.status_code, error_of(refused)) == (400, "unauthorized_client")
    assert error_of(await w.post("/bc-authorize", {**form, "client_id": "portal"})) == "invalid_client"
    started = await w.post("/bc-authorize", form, **basic("portal", secret))
    (path,) = await questions(browser)
    assert "portal" in (await browser.get(path)).text.lower()
    await answer(browser, path)
    polled = {"grant_type": CIBA, "auth_req_id": started.json()["auth_req_id"]}
    assert error_of(await w.token({**polled, **w.assertion(agent.key)})) == "invalid_grant"  # its agent, not itself
    claims = claims_of((await w.post("/token", polled, **basic("portal", secret))).json()["access_token"])
    assert (claims["client_id"], claims["sub"], claims["act"]["sub"]) == ("portal", "smith", agent.did)


async def test_what_the_agent_says_stays_text(w: World) -> None:
    agent, browser = w.agent("orders", "list_menu"), Browser(w)
    said = '<script>alert(1)</script> "you" \u05d0'
    await asked(w, agent, binding_message=said)
    (path,) = await questions(browser)
    page = (await browser.get(path)).text
    assert "<script>" not in page
    assert said in html.unescape(page)
