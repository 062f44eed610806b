"""Limits through a real bridge: every token says where its calls are counted, and nobody who asks may say it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.chain import verify_chain
from did_agent.credential.issuance import attenuate
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.jwk import parse_public_jwk
from did_agent.policy.admission import capabilities_at
from did_agent.tokens.access_token import verify_access_token
from tests.fakes.asking import ask
from tests.fakes.bridge_world import (
    RESOURCE,
    Actor,
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

TYPE = "attenuating_agent_token"
MINUTE = {"maxCalls": 9, "windowSeconds": 60}


def held(limits: dict[str, Any], *tools: str) -> Capability:
    return parse_bare_capability({"resource": [RESOURCE], "tools": {tool: {} for tool in tools}, "limits": limits})


def details(*tools: str, **changes: Any) -> str:
    return json.dumps([{"type": TYPE, "locations": [RESOURCE], "tools": {tool: {} for tool in tools}, **changes}])


async def capabilities_of(w: World, text: str) -> tuple[Capability, ...]:
    """Return what a guard reads in a token."""
    keys = {key["kid"]: parse_public_jwk(key) for key in (await w.http.get("/.well-known/jwks.json")).json()["keys"]}
    return verify_access_token(
        text,
        find_key=lambda header, _claims: keys[str(header["kid"])],
        expected_issuer=w.url,
        expected_audience=RESOURCE,
        proven=frozenset(),
        now=w.clock(),
    ).capabilities


def presented(w: World, *documents: dict[str, Any], holder: Actor) -> tuple[Capability, ...]:
    """Return what a guard reads in a presentation."""
    trusted = TrustedIssuers.of(did_key(w.issuer.key.public))
    chain = verify_chain(documents, holder=holder.did, now=w.clock(), trusted=trusted, max_depth=4)
    return capabilities_at(RESOURCE, chain)


def limited(w: World, *tools: str) -> Actor:
    agent = w.enrol("orders")
    w.grant(agent, held(MINUTE, *(tools or ("list_menu", "create_order"))))
    return agent


def hand_on(w: World, giver: Actor, taker: Actor, limits: dict[str, Any]) -> dict[str, Any]:
    return attenuate(
        giver.held[0],
        key=giver.key,
        subject=taker.did,
        capabilities=[held(limits, "list_menu")],
        valid_until=w.clock() + timedelta(minutes=15),
        now=w.clock(),
    )


@pytest.mark.req("DEL-05")
async def test_every_grant_names_the_accounts_that_a_presentation_names(w: World) -> None:
    agent = limited(w)
    expected = presented(w, agent.held[0], holder=agent)
    assert [len(one.accounts) for one in expected] == [1]
    bearer = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": w.vp_jwt(agent)}
    for answer in (
        await w.client_credentials(agent.key, resource=RESOURCE),
        await w.exchange(await w.vp(agent)),
        await w.token(bearer),
    ):
        assert await capabilities_of(w, answer.json()["access_token"]) == expected
        assert "charged" not in answer.text
    taker = w.enrol("taker")
    child = hand_on(w, agent, taker, {"maxCalls": 3, "windowSeconds": 60})
    chain = presented(w, child, agent.held[0], holder=taker)
    assert [account.holder for account in chain[0].accounts] == [taker.did, agent.did]
    answer = await w.exchange(await w.vp(taker, child, agent.held[0]))
    assert await capabilities_of(w, answer.json()["access_token"]) == chain


@pytest.mark.req("DEL-04")
async def test_nobody_who_asks_may_say_where_calls_are_counted(w: World) -> None:
    agent = limited(w)
    for charged in ([], [{"account": "mine#0", "limits": {"maxCalls": 1000}}]):
        wanted = details("list_menu", limits={"maxCalls": 1, "windowSeconds": 60}, charged=charged)
        for answer in (
            await w.client_credentials(agent.key, authorization_details=wanted),
            await w.post(
                "/par", {**question(agent, authorization_details=wanted).parameters, **w.assertion(agent.key)}
            ),
            await ask(w, agent, resource=None, authorization_details=wanted),
        ):
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details"), answer.text
    assert (await w.client_credentials(agent.key, authorization_details=details("list_menu"))).status_code == 200


async def test_limits_asked_for_in_detail_are_counted_beside_those_that_are_held(w: World) -> None:
    agent = limited(w)
    (own,) = presented(w, agent.held[0], holder=agent)[0].accounts
    accounts = []
    for limits, expected in (
        ({"maxCalls": 3, "windowSeconds": 60}, [9, 3]),
        ({"maxCalls": 3, "windowSeconds": 60}, [9, 3]),
        ({"maxCalls": 99, "windowSeconds": 60}, [9]),
        (None, [9]),
    ):
        wanted = details("list_menu", **({} if limits is None else {"limits": limits}))
        answer = await w.client_credentials(agent.key, authorization_details=wanted)
        (found,) = await capabilities_of(w, answer.json()["access_token"])
        assert [account.limits.max_calls for account in found.accounts] == expected
        assert found.accounts[0] == own
        assert found.limits is not None
        assert found.limits.max_calls == expected[-1]
        accounts += [account.id for account in found.accounts[1:]]
    assert len(set(accounts)) == 2, "each token that was asked for in detail has a budget of its own"
    # Another ceiling than those that are held joins them.
    wanted = details("list_menu", limits={"maxAmount": "5", "currency": "EUR"})
    answer = await w.client_credentials(agent.key, authorization_details=wanted)
    assert answer.json()["authorization_details"][0]["limits"] == {**MINUTE, "maxAmount": "5", "currency": "EUR"}


@pytest.mark.req("DEL-05", "OAU-10")
async def test_what_a_person_allowed_is_counted_for_the_consent_and_not_for_each_refresh(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    wanted = details("create_order", limits={"maxCalls": 2})
    accounts = []
    for _ in range(2):
        asking = question(agent, authorization_details=wanted, scope="tool:create_order offline_access", resource=None)
        browser = Browser(w)
        page = (await browser.login(asking.path)).text
        assert "maxCalls 2" in page
        allowed = await browser.submit(asking.path, _ticked(page))
        redeemed = await redeem(w, agent, answered(allowed)["code"], asking.verifier)
        accounts.append(await _account(w, redeemed.json()))
        for _ in range(2):
            form = {"grant_type": "refresh_token", "refresh_token": redeemed.json()["refresh_token"]}
            redeemed = await w.token({**form, **w.assertion(agent.key)})
            assert redeemed.status_code == 200, redeemed.text
            assert await _account(w, redeemed.json()) == accounts[-1]
        w.clock.now += timedelta(seconds=1)
    assert len(set(accounts)) == 2


@pytest.mark.req("DEL-05")
async def test_the_next_hop_is_charged_for_itself_and_for_what_it_came_from(w: World) -> None:
    agent, taker = limited(w), w.enrol("taker")
    child = hand_on(w, agent, taker, {"maxCalls": 2, "windowSeconds": 60})
    narrow = details("list_menu", limits={"maxCalls": 5, "windowSeconds": 60})
    first = await w.exchange(await w.vp(agent), authorization_details=narrow)
    (before,) = await capabilities_of(w, first.json()["access_token"])
    hop = await w.next_hop(first.json()["access_token"], await w.vp(taker, child, agent.held[0]))
    (after,) = await capabilities_of(w, hop.json()["access_token"])
    assert [account.limits.max_calls for account in before.accounts] == [9, 5]
    assert [account.limits.max_calls for account in after.accounts] == [2, 9, 5]
    assert set(before.accounts) < set(after.accounts)
    assert [account.holder for account in after.accounts] == [taker.did, agent.did, None]


async def test_a_hop_inherits_the_limits_that_it_does_not_have(w: World) -> None:
    agent, taker = w.agent("orders", "list_menu"), w.enrol("taker")
    child = w.hand_on(agent.held[0], agent, taker, "list_menu")
    narrow = details("list_menu", limits={"singleUse": True})
    first = await w.exchange(await w.vp(agent), authorization_details=narrow)
    (before,) = await capabilities_of(w, first.json()["access_token"])
    hop = await w.next_hop(first.json()["access_token"], await w.vp(taker, child, agent.held[0]))
    (after,) = await capabilities_of(w, hop.json()["access_token"])
    assert after == before
    assert after.limits is not None
    assert after.limits.single_use


async def _account(w: World, told: dict[str, Any]) -> str:
    (found,) = await capabilities_of(w, told["access_token"])
    (account,) = found.accounts
    assert (account.holder, account.limits.max_calls) == (None, 2)
    assert claims_of(told["access_token"])["authorization_details"][0]["charged"][0]["account"] == account.id
    return account.id


def _ticked(page: str) -> list[tuple[str, str]]:
    return [
        *form_of(page).fields.items(),
        ("scope_item", "tool:create_order"),
        ("offline", "yes"),
        ("decision", "allow"),
    ]
