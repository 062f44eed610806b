"""`authorization_details` at a real bridge: what is granted is within them, at every door, and nowhere wider (RFC 9396)."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from did_agent.credential.capability import parse_bare_capability
from did_agent.keys.jwk import parse_public_jwk
from did_agent.policy.admission import caller_from_token
from did_agent.policy.decide import Call, decide
from did_agent.tokens.access_token import verify_access_token
from tests.fakes.asking import answer, asked, poll, questions
from tests.fakes.bridge_policy import PERMIT, approve, at, publish
from tests.fakes.bridge_world import (
    OTHER_RESOURCE,
    RESOURCE,
    Actor,
    Browser,
    World,
    answered,
    capability,
    claims_of,
    form_of,
    question,
    redeem,
    w,
)

__all__ = ["w"]

TYPE = "attenuating_agent_token"
AT_MOST_5 = {"constraint_type": "range", "max": 5}
AT_MOST_3 = {"constraint_type": "range", "max": 3}
ANY = {"constraint_type": "wildcard"}


def details(tools: dict[str, Any], **changes: Any) -> str:
    return json.dumps([{"type": TYPE, "locations": [RESOURCE], "tools": tools, **changes}])


def granted(answer: httpx2.Response) -> dict[str, Any]:
    """Return the tools that were granted, which the answer and its token tell alike."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    claims = claims_of(told["access_token"])
    assert told["authorization_details"] == claims["authorization_details"]
    assert {one["type"] for one in told["authorization_details"]} == {TYPE}
    assert all(one["locations"] == [RESOURCE] for one in told["authorization_details"])
    tools = {tool: rule for one in told["authorization_details"] for tool, rule in one["tools"].items()}
    assert {f"tool:{tool}" for tool in tools} == set(claims["scope"].split())
    return tools


def error_of(answer: httpx2.Response) -> str:
    return str(answer.json()["error"])


def shopper(w: World) -> Actor:
    """Return an agent that may order at most five, and look at the menu."""
    agent = w.enrol("orders")
    w.grant(agent, capability("list_menu", "create_order", create_order={"amount": AT_MOST_5}))
    return agent


async def test_the_metadata_names_the_one_type(w: World) -> None:
    told = (await w.http.get("/.well-known/oauth-authorization-server")).json()
    assert told["authorization_details_types_supported"] == [TYPE]


async def test_without_details_nothing_changes(w: World) -> None:
    answer = await w.client_credentials(shopper(w).key, resource=RESOURCE)
    assert "authorization_details" not in answer.json()
    assert claims_of(answer.json()["access_token"])["scope"] == "tool:create_order tool:list_menu"


@pytest.mark.req("DEL-05")
async def test_what_is_granted_is_within_both_sides(w: World) -> None:
    agent = shopper(w)
    for wanted, expected in (
        ({"create_order": {"amount": AT_MOST_3}}, {"create_order": {"amount": AT_MOST_3}}),
        ({"create_order": {"amount": {**AT_MOST_5, "max": 9}}}, {"create_order": {"amount": AT_MOST_5}}),
        ({"create_order": {}, "list_menu": {}}, {"create_order": {"amount": AT_MOST_5}, "list_menu": {}}),
        ({"list_menu": {"day": ANY}, "delete_order": {}}, {"list_menu": {"day": ANY}}),
        ({"create_order": {"amount": {"constraint_type": "exact", "value": 2}}}, {"create_order": {"amount": {"constraint_type": "exact", "value": 2}}}),
    ):  # fmt: skip
        # The location of the details is the resource.
        answer = await w.client_credentials(agent.key, authorization_details=details(wanted))
        assert granted(answer) == expected, wanted


@pytest.mark.req("DEL-05")
async def test_what_is_beyond_what_is_held_is_refused(w: World) -> None:
    agent = shopper(w)
    for wanted in (
        {"delete_order": {}},
        {"create_order": {"amount": {"constraint_type": "range", "min": 1}}},  # neither within the other
        {"create_order": {"amount": AT_MOST_3, "address": ANY}},
        {"create_order": {"number": AT_MOST_3}},
        {"create_order": {"amount": {"constraint_type": "exact", "value": 6}}},
    ):
        answer = await w.client_credentials(agent.key, resource=RESOURCE, authorization_details=details(wanted))
        assert (answer.status_code, error_of(answer)) == (400, "invalid_authorization_details"), wanted
    both = await w.client_credentials(
        agent.key, resource=RESOURCE, scope="tool:create_order", authorization_details=details({"list_menu": {}})
    )
    assert error_of(both) == "invalid_authorization_details"  # scope and details bind both
    events = [event for event in await w.events() if event["action"] == "token.issue" and event["decision"] == "deny"]
    assert {event["reason"] for event in events} == {"details_refused"}


@pytest.mark.req("DEL-05", "LIM-01")
async def test_what_cannot_be_read_is_refused(w: World) -> None:
    agent = shopper(w)
    fine: dict[str, Any] = {"type": TYPE, "locations": [RESOURCE], "tools": {"list_menu": {}}}
    elsewhere = {**fine, "locations": [OTHER_RESOURCE]}
    deep: dict[str, Any] = {"constraint_type": "wildcard"}
    for _ in range(9):
        deep = {"constraint_type": "all", "constraints": [deep]}
    for wanted in (
        "no json", "{}", "[]", "null", "[1]", json.dumps(fine), json.dumps([fine] * 17),
        json.dumps([{**fine, "type": "payment_initiation"}]),
        json.dumps([fine, {**fine, "type": "openid_credential"}]),
        json.dumps([{name: value for name, value in fine.items() if name != "type"}]),
        json.dumps([{name: value for name, value in fine.items() if name != "locations"}]),
        json.dumps([{**fine, "privileges": ["admin"]}]),
        json.dumps([{**fine, "tools": {}}]),
        json.dumps([{**fine, "tools": ["list_menu"]}]),
        json.dumps([{**fine, "tools": {f"t{n}": {} for n in range(65)}}]),
        json.dumps([{**fine, "tools": {f"t{n}": {} for n in range(33)}}, {**fine, "tools": {f"s{n}": {} for n in range(33)}}]),
        json.dumps([{**fine, "tools": {"list_menu": {"day": {"constraint_type": "regex", "pattern": ".*"}}}}]),
        json.dumps([{**fine, "tools": {"list_menu": {"day": deep}}}]),
        json.dumps([{**fine, "locations": [RESOURCE, OTHER_RESOURCE]}]),
        json.dumps([fine, elsewhere]),
        '[{"type":"attenuating_agent_token","type":"x","locations":["' + RESOURCE + '"],"tools":{"list_menu":{}}}]',
        json.dumps([fine]) + " " * 16_384,
    ):  # fmt: skip
        answer = await w.client_credentials(agent.key, resource=RESOURCE, authorization_details=wanted)
        assert (answer.status_code, error_of(answer)) == (400, "invalid_authorization_details"), wanted[:80]
    other = await w.client_credentials(agent.key, resource=RESOURCE, authorization_details=json.dumps([elsewhere]))
    assert error_of(other) == "invalid_authorization_details"
    assert granted(await w.client_credentials(agent.key, authorization_details=json.dumps([fine] * 16)))


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize("mode", ["intersection", "subset", "union"])
async def test_policy_has_the_last_word_on_details_too(w: World, mode: str) -> None:
    agent, browser = shopper(w), Browser(w)
    rules = PERMIT + '@id("no-orders") forbid(principal, action == Action::"create_order", resource);'
    policy = at(mode, rules=rules)
    if mode == "union":
        await approve(w, policy)
        await approve(w, policy, w.colleague)
    await publish(w, policy)
    auth_req_id = await asked(w, agent)
    (path,) = await questions(browser)
    await answer(browser, path)
    wanted = details({"create_order": {}, "list_menu": {}, "delete_order": {}})
    assert granted(await poll(w, agent, auth_req_id, authorization_details=wanted)) == {"list_menu": {}}


async def test_limits_are_never_dropped(w: World) -> None:
    agent = w.enrol("limited")
    held = {"resource": [RESOURCE], "tools": {"list_menu": {}}, "limits": {"maxCalls": 9, "windowSeconds": 60}}
    w.grant(agent, parse_bare_capability(held))
    for limits, expected in (
        (None, {"maxCalls": 9, "windowSeconds": 60}),
        ({"maxCalls": 3, "windowSeconds": 60}, {"maxCalls": 3, "windowSeconds": 60}),
        ({"maxCalls": 99, "windowSeconds": 60}, {"maxCalls": 9, "windowSeconds": 60}),
    ):
        changes = {} if limits is None else {"limits": limits}
        answer = await w.client_credentials(agent.key, authorization_details=details({"list_menu": {}}, **changes))
        assert [one["limits"] for one in answer.json()["authorization_details"]] == [expected]


@pytest.mark.req("DEL-05")
async def test_token_exchange_and_jwt_bearer_narrow_and_the_next_hop_never_widens(w: World) -> None:
    agent = shopper(w)
    narrow = details({"create_order": {"amount": AT_MOST_3}})
    expected = {"create_order": {"amount": AT_MOST_3}}
    first = await w.exchange(await w.vp(agent), authorization_details=narrow)
    assert granted(first) == expected
    bearer = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": w.vp_jwt(agent)}
    assert granted(await w.token({**bearer, "authorization_details": narrow})) == expected
    # The next actor holds the whole credential of its giver, and gets no more than the token it builds on.
    taker = w.enrol("taker")
    child = w.hand_on(agent.held[0], agent, taker, "list_menu")
    wide = details({"list_menu": {}, "create_order": {}})
    hop = await w.next_hop(
        first.json()["access_token"], await w.vp(taker, child, agent.held[0]), authorization_details=wide
    )
    assert error_of(hop) in ("invalid_scope", "invalid_authorization_details")
    whole = (await w.exchange(await w.vp(agent))).json()["access_token"]
    hop = await w.next_hop(whole, await w.vp(taker, child, agent.held[0]), authorization_details=wide)
    assert granted(hop) == {"list_menu": {}}


@pytest.mark.req("DEL-05", "OAU-10")
@pytest.mark.parametrize("pushed", [False, True])
async def test_a_person_sees_the_conditions_and_nothing_goes_beyond_them(w: World, pushed: bool) -> None:
    agent, browser = shopper(w), Browser(w)
    wanted = details({"create_order": {"amount": AT_MOST_3}, "delete_order": {}})
    asking = question(
        agent, authorization_details=wanted, scope="tool:create_order tool:list_menu offline_access", resource=None
    )
    path = asking.path
    if pushed:
        answer = await w.post("/par", {**asking.parameters, **w.assertion(agent.key)})
        assert answer.status_code == 201, answer.text
        path = f"/authorize?client_id={agent.did}&request_uri={answer.json()['request_uri']}"
    page = (await browser.login(path)).text
    assert "may create_order" in page
    assert "amount: at most 3" in page
    assert "may list_menu" not in page  # scope and details bind both
    form = form_of(page)
    ticks = [("scope_item", "tool:create_order"), ("offline", "yes"), ("decision", "allow")]
    code = answered(await browser.submit(path, [*form.fields.items(), *ticks]))["code"]
    redeemed = await redeem(w, agent, code, asking.verifier)
    assert granted(redeemed) == {"create_order": {"amount": AT_MOST_3}}
    (consent,) = [event for event in await w.events() if event["action"] == "consent.give"]
    assert consent["decision"] == "allow"
    # A refresh narrows further, and never widens again.
    refreshing = {"grant_type": "refresh_token", "refresh_token": redeemed.json()["refresh_token"]}
    two = {"constraint_type": "exact", "value": 2}
    narrow = await w.token(
        {**refreshing, **w.assertion(agent.key), "authorization_details": details({"create_order": {"amount": two}})}
    )
    assert granted(narrow) == {"create_order": {"amount": two}}
    refreshing["refresh_token"] = narrow.json()["refresh_token"]
    wide = await w.token(
        {**refreshing, **w.assertion(agent.key), "authorization_details": details({"create_order": {}})}
    )
    assert granted(wide) == {"create_order": {"amount": AT_MOST_3}}
    refreshing["refresh_token"] = wide.json()["refresh_token"]
    plain = await w.token({**refreshing, **w.assertion(agent.key)})
    assert granted(plain) == {"create_order": {"amount": AT_MOST_3}}


async def test_the_authorization_endpoint_refuses_by_redirect(w: World) -> None:
    agent, browser = shopper(w), Browser(w)
    for wanted in ("[]", details({"list_menu": {}}, locations=[OTHER_RESOURCE])):
        told = answered(await browser.get(question(agent, authorization_details=wanted).path))
        assert told["error"] == "invalid_authorization_details"
    await browser.login("/account")
    told = answered(await browser.get(question(agent, authorization_details=details({"delete_order": {}})).path))
    assert told["error"] == "invalid_scope"
    pushed = await w.post("/par", {**question(agent, authorization_details="[]").parameters, **w.assertion(agent.key)})
    assert (pushed.status_code, error_of(pushed)) == (400, "invalid_authorization_details")


@pytest.mark.req("DEL-05", "OAU-17")
async def test_a_person_who_is_asked_elsewhere_sees_the_same_conditions(w: World) -> None:
    agent, browser = shopper(w), Browser(w)
    auth_req_id = await asked(
        w, agent, resource=None, authorization_details=details({"create_order": {"amount": AT_MOST_3}})
    )
    (path,) = await questions(browser)
    page = (await browser.get(path)).text
    assert "amount: at most 3" in page
    assert "may list_menu" not in page
    await answer(browser, path)
    wide = details({"create_order": {}, "list_menu": {}})
    assert granted(await poll(w, agent, auth_req_id, authorization_details=wide)) == {
        "create_order": {"amount": AT_MOST_3}
    }


@pytest.mark.req("DEL-05")
async def test_the_guard_holds_calls_to_the_arguments_in_the_token(w: World) -> None:
    agent = shopper(w)
    answer = await w.client_credentials(
        agent.key, authorization_details=details({"create_order": {"amount": AT_MOST_3}})
    )
    keys = {key["kid"]: parse_public_jwk(key) for key in (await w.http.get("/.well-known/jwks.json")).json()["keys"]}
    token = verify_access_token(
        answer.json()["access_token"],
        find_key=lambda header, _claims: keys[str(header["kid"])],
        expected_issuer=w.url,
        expected_audience=RESOURCE,
        proven=frozenset(),
        now=w.clock(),
    )
    caller = caller_from_token(token)
    for tool, arguments, reason in (
        ("create_order", {"amount": 3}, "allowed"),
        ("create_order", {"amount": 4}, "arguments_refused"),
        ("create_order", {}, "arguments_refused"),
        ("create_order", {"amount": 3, "note": "x"}, "arguments_refused"),
        ("list_menu", {}, "agent_not_capable"),
    ):
        decision = decide(caller, Call(resource=RESOURCE, tool=tool, arguments=arguments))
        assert decision.reason == reason, (tool, arguments)
