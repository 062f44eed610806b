"""What a person allowed an agent goes on under its next key, when the one before named it: nobody else has it (OAU-18)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from did_agent.client.dpop import DPoPSigner
from did_agent.did.key import did_key
from did_agent.errors import Expired, Malformed, VerificationError
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.continuity import make_continuity, recall_continuity, verify_continuity
from did_agent.tokens.task import task_id
from tests.fakes.asking import answer, ask, poll, questions
from tests.fakes.bridge_world import (
    RESOURCE,
    START,
    Actor,
    Browser,
    World,
    capability,
    claims_of,
    code_for,
    form_of,
    question,
    redeem,
    w,
)
from tests.integration.test_bridge_refresh import agent_of, begin, refresh, refused

__all__ = ["w"]
ON_ONE = pytest.mark.parametrize("w", [None], indirect=True, ids=["sqlite"])  # where nothing of it is the database's


async def rekeyed(w: World, agent: Actor, **how: Any) -> Actor:
    """Give an agent another key as an issuer does, with credentials for it; the old one is over."""
    new = w.issuer.rekey(agent, **how)
    w.grant(new, capability("list_menu", "create_order", "delete_order"))
    assert (await w.push("agent-retired", agent.did)).is_success
    return new


async def used(w: World, agent: Actor, token: str, **headers: str) -> dict[str, Any]:
    taken = await refresh(w, agent, token, headers=headers)
    assert taken.status_code == 200, taken.text
    return dict(taken.json())


# ---- it follows


@pytest.mark.req("OAU-18")
async def test_a_refresh_token_goes_on_under_the_key_that_was_named(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    second = await rekeyed(w, agent)
    third = await rekeyed(w, second)  # unused between: two steps at once
    first = await used(w, third, token)
    claims = claims_of(first["access_token"])
    assert (claims["client_id"], claims["act"]["sub"]) == (third.did, third.did)
    told = [event for event in await w.events() if event["action"] == "consent.follow"]
    assert [(one["details"]["before"], one["details"]["after"]) for one in told] == [(agent.did, third.did)]
    again = await used(w, third, first["refresh_token"])
    assert again["refresh_token"] != first["refresh_token"]
    assert len([event for event in await w.events() if event["action"] == "consent.follow"]) == 1
    fourth = await rekeyed(w, third)
    await used(w, fourth, again["refresh_token"])
    refused(await refresh(w, third, again["refresh_token"]))


@pytest.mark.req("OAU-18")
async def test_what_follows_is_still_the_persons_to_withdraw(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    second = await rekeyed(w, agent)
    token = (await used(w, second, token))["refresh_token"]
    third = await rekeyed(w, second)
    browser = Browser(w)
    page = form_of((await browser.login("/account")).text)
    (consent,) = (one for one in page.buttons if len(one) == 43)
    fields = {"csrf_token": page.fields["csrf_token"], "withdraw": consent}
    assert (await browser.submit("/account", fields.items())).status_code == 303
    refused(await refresh(w, third, token))
    refused(await refresh(w, second, token))


@pytest.mark.req("OAU-18")
async def test_an_operator_ends_what_would_follow(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    second = await rekeyed(w, agent)
    body = {"sub_id": {"format": "did", "url": second.did}}
    ended = await w.http.post("/revoke-subject", json=body, headers=await w.admin_headers())
    assert ended.is_success, ended.text
    refused(await refresh(w, second, token))


@pytest.mark.req("OAU-18", "DEL-02")
async def test_a_code_is_redeemed_by_the_key_that_was_named(w: World) -> None:
    agent = agent_of(w)
    code, verifier = await code_for(w, agent)
    second = await rekeyed(w, agent)
    given = await redeem(w, second, code, verifier)
    assert given.status_code == 200, given.text
    assert claims_of(given.json()["access_token"])["act"]["sub"] == second.did


@pytest.mark.req("OAU-18")
async def test_a_question_is_answered_to_the_key_that_was_named(w: World) -> None:
    agent = agent_of(w)
    started = (await ask(w, agent)).json()["auth_req_id"]
    browser = Browser(w)
    (path,) = await questions(browser)
    await answer(browser, path)
    second = await rekeyed(w, agent)
    stranger = w.agent("mallory", "list_menu")
    refused(await poll(w, stranger, started))
    given = await poll(w, second, started)
    assert given.status_code == 200, given.text
    assert claims_of(given.json()["access_token"])["act"]["sub"] == second.did


@pytest.mark.req("OAU-18", "DEL-10")
async def test_a_task_stays_the_one_it_was(w: World) -> None:
    agent = agent_of(w)
    asking = question(agent, scope="tool:list_menu offline_access", task="tidy-up")
    code = (await Browser(w).consent(asking.path, offline=True))["code"]
    token = (await redeem(w, agent, code, asking.verifier)).json()["refresh_token"]
    second = await rekeyed(w, agent)
    given = await used(w, second, token)
    named = task_id("tidy-up", issuer=w.url, principal="smith", principal_kind="user", client=agent.did)
    assert claims_of(given["access_token"])["task"] == named
    ended = await w.post("/tasks/complete", {"task": "tidy-up", **w.assertion(second.key)})
    assert ended.status_code == 200, ended.text
    refused(await refresh(w, second, given["refresh_token"]))


@pytest.mark.req("OAU-18", "TOK-11")
@pytest.mark.parametrize("is_own", [True, False])
@ON_ONE
async def test_a_family_stays_bound_to_its_agents_key_or_to_a_third_one(w: World, is_own: bool) -> None:
    agent, apart = agent_of(w), SigningKey.generate()

    def proof(key: SigningKey) -> dict[str, str]:
        return {"DPoP": DPoPSigner(key, clock=w.clock).proof("POST", f"{w.url}/token")}

    token = (await begin(w, agent, **proof(agent.key if is_own else apart)))["refresh_token"]
    second = await rekeyed(w, agent)
    wrong = apart if is_own else second.key
    refused(await refresh(w, second, token, headers=proof(wrong)))
    refused(await refresh(w, second, token))
    await used(w, second, token, **proof(second.key if is_own else apart))


# ---- it does not follow


@pytest.mark.req("OAU-18")
@pytest.mark.parametrize(
    "how",
    [
        {"is_named": False},
        {"agent_id": "urn:uuid:somebody-else"},
        {"audience": "https://another-issuer.example"},
    ],
    ids=["recovered", "of another agent", "for another issuer"],
)
@ON_ONE
async def test_nothing_follows_to_a_key_that_the_one_before_did_not_name(w: World, how: dict[str, Any]) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    code, verifier = await code_for(w, agent)
    second = await rekeyed(w, agent, **how)
    refused(await refresh(w, second, token))
    refused(await redeem(w, second, code, verifier))
    third = await rekeyed(w, second)  # named by that one, which was not
    refused(await refresh(w, third, token))


@pytest.mark.req("OAU-18")
@ON_ONE
async def test_nothing_follows_an_agent_to_another_owner(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    w.clock.forward(60)
    w.issuer.handed_over["orders"] = w.clock()
    second = await rekeyed(w, agent)
    refused(await refresh(w, second, token))
    w.clock.forward(1)
    token = (await begin(w, second))["refresh_token"]  # allowed to whom it belongs now
    await used(w, await rekeyed(w, second), token)


@pytest.mark.req("OAU-18", "DEL-01")
@ON_ONE
async def test_nobody_else_takes_what_an_agent_left(w: World) -> None:
    agent, stranger = agent_of(w), w.agent("mallory", "list_menu", "create_order")
    token = (await begin(w, agent))["refresh_token"]
    other = await rekeyed(w, stranger)
    refused(await refresh(w, other, token))
    second = await rekeyed(w, agent)
    refused(await refresh(w, other, token))
    await used(w, second, token)
    # What the register alone says of it counts for nothing: the statement is another agent's.
    fake = w.issuer.statements["mallory"]
    w.issuer.statements["orders"] = fake
    third = w.issuer.rekey(second, is_named=False)
    assert third.did != second.did
    refused(await refresh(w, third, token))


@pytest.mark.req("OAU-18", "FCL")
@ON_ONE
async def test_a_register_that_is_away_lets_nothing_follow_and_burns_nothing(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    code, verifier = await code_for(w, agent)
    second = await rekeyed(w, agent)
    w.issuer.is_away = True
    assert (await refresh(w, second, token)).status_code == 503
    assert (await redeem(w, second, code, verifier)).status_code == 503
    w.issuer.is_away = False
    await used(w, second, token)
    assert (await redeem(w, second, code, verifier)).status_code == 200


@pytest.mark.req("OAU-18")
@ON_ONE
async def test_a_suspended_agent_follows_nowhere(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    second = await rekeyed(w, agent)
    second.state = "suspended"
    assert not (await refresh(w, second, token)).is_success
    second.state = "active"
    await used(w, second, token)


@pytest.mark.req("OAU-18")
def test_a_statement_is_recalled_as_of_its_time() -> None:
    before, after = SigningKey.generate(), SigningKey.generate()
    said = {"successor": did_key(after.public), "agent_id": "urn:uuid:a", "audience": RESOURCE}
    text = make_continuity(before, now=START, **said)
    expected = {"expected_before": did_key(before.public), "expected_audience": RESOURCE}
    assert recall_continuity(text, **expected).after == did_key(after.public)
    with pytest.raises(Expired):
        verify_continuity(text, now=START + timedelta(days=3), **expected)
    for spoilt in ({"expected_before": did_key(after.public)}, {"expected_audience": "https://else.example"}):
        with pytest.raises((Malformed, VerificationError)):
            recall_continuity(text, **{**expected, **spoilt})
    with pytest.raises((Malformed, VerificationError)):
        recall_continuity(text[:-4] + "AAAA", **expected)
