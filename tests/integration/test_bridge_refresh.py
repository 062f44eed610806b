"""Refresh tokens at a real bridge: rotation, reuse, races, keys, and everything that ends a family (TOK-11)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from did_agent.client.dpop import DPoPSigner
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint
from tests.fakes.bridge_world import (
    REDIRECT,
    RESOURCE,
    Actor,
    Browser,
    World,
    claims_of,
    form_of,
    question,
    w,
    world,
)

__all__ = ["w"]
ASKED = {"scope": "tool:list_menu tool:create_order offline_access"}


async def begin(w: World, agent: Actor, **headers: str) -> dict[str, Any]:
    """Return the answer that brings the first refresh token of a family."""
    asking = question(agent, **ASKED)
    answer = await Browser(w).consent(asking.path, offline=True)
    fields = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "code_verifier": asking.verifier,
        "redirect_uri": REDIRECT,
        **w.assertion(agent.key),
    }
    redeemed = await w.post("/token", fields, **headers)
    assert redeemed.status_code == 200, redeemed.text
    return dict(redeemed.json())


async def refresh(w: World, agent: Actor, token: str, *, headers: dict[str, str] | None = None, **form: str) -> Any:
    fields = {"grant_type": "refresh_token", "refresh_token": token, **w.assertion(agent.key), **form}
    return await w.post("/token", fields, **(headers or {}))


def refused(answer: Any, error: str = "invalid_grant", status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


async def ended(w: World) -> set[str]:
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    return {claims_of(item["set"])["sub_id"]["uri"] for item in feed}


def agent_of(w: World) -> Actor:
    return w.agent("orders", "list_menu", "create_order", "delete_order")


@pytest.mark.req("DEL-06")
async def test_a_refresh_gives_the_same_delegation_again(w: World) -> None:
    agent = agent_of(w)
    first = await begin(w, agent)
    answer = await refresh(w, agent, first["refresh_token"])
    assert answer.status_code == 200, answer.text
    before, after = claims_of(first["access_token"]), claims_of(answer.json()["access_token"])
    for name in ("sub", "act", "client_id", "aud", "scope", "entitlements"):
        assert after[name] == before[name]
    assert answer.json()["refresh_token"] != first["refresh_token"]
    assert (await w.events())[-1]["details"]["grant"] == "refresh_token"


async def test_only_who_is_asked_and_says_so_allows_it_for_longer(w: World) -> None:
    agent = agent_of(w)
    page = form_of((await Browser(w).login(question(agent).path)).text)
    assert "yes" not in page.boxes
    asking = question(agent, **ASKED)
    page = (await Browser(w).login(asking.path)).text
    assert "Go on for up to 30 days" in page
    assert 'value="yes" checked' not in page
    code = (await Browser(w).consent(asking.path))["code"]
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": asking.verifier}
    answer = await w.token({**fields, "redirect_uri": REDIRECT, **w.assertion(agent.key)})
    assert "refresh_token" not in answer.json()
    assert "offline_access" not in answer.json()["scope"]


async def test_an_agent_for_itself_gets_none_whatever_its_client_adds(w: World) -> None:
    agent = agent_of(w)
    form = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "tool:list_menu offline_access"}
    answer = await w.token({**form, **w.assertion(agent.key)})
    assert (answer.status_code, answer.json().get("scope")) == (200, "tool:list_menu"), answer.text
    assert "refresh_token" not in answer.json()


async def test_a_refresh_can_ask_for_less_and_never_for_more(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    less = (await refresh(w, agent, token, scope="tool:list_menu")).json()
    assert less["scope"] == "tool:list_menu"
    refused(await refresh(w, agent, less["refresh_token"], scope="tool:delete_order"), "invalid_scope")
    refused(await refresh(w, agent, less["refresh_token"], resource="https://x.example/mcp"), "invalid_target")
    again = (await refresh(w, agent, less["refresh_token"])).json()
    assert again["scope"] == "tool:create_order tool:list_menu"


@pytest.mark.req("TOK-11")
async def test_reuse_of_an_old_token_ends_the_family(w: World) -> None:
    agent = agent_of(w)
    first = await begin(w, agent)
    second = (await refresh(w, agent, first["refresh_token"])).json()
    w.clock.forward(11)
    refused(await refresh(w, agent, first["refresh_token"]))
    refused(await refresh(w, agent, second["refresh_token"]))
    assert await ended(w) >= {claims_of(one["access_token"])["jti"] for one in (first, second)}
    assert "refresh.reuse" in [event["action"] for event in await w.events()]


@pytest.mark.req("TOK-11")
async def test_a_lost_answer_is_given_again_for_ten_seconds(w: World) -> None:
    agent = agent_of(w)
    first = await begin(w, agent)
    second = (await refresh(w, agent, first["refresh_token"])).json()
    w.clock.forward(10)
    repeated = (await refresh(w, agent, first["refresh_token"])).json()
    assert repeated["refresh_token"] == second["refresh_token"]
    third = await refresh(w, agent, repeated["refresh_token"])
    assert third.status_code == 200
    refused(await refresh(w, agent, first["refresh_token"]))  # two generations old
    refused(await refresh(w, agent, third.json()["refresh_token"]))


@pytest.mark.req("TOK-11")
async def test_many_at_once_get_one_successor(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    answers = await asyncio.gather(*(refresh(w, agent, token) for _ in range(50)))
    given = {answer.json().get("refresh_token") for answer in answers if answer.status_code == 200}
    assert len(given) == 1
    assert (await refresh(w, agent, given.pop())).status_code == 200


@pytest.mark.req("TOK-11", "TOK-09")
async def test_a_family_keeps_the_key_it_began_with(w: World) -> None:
    agent = agent_of(w)
    signer, thief = DPoPSigner(agent.key, clock=w.clock), DPoPSigner(SigningKey.generate(), clock=w.clock)

    def proof(by: DPoPSigner) -> dict[str, str]:
        return {"DPoP": by.proof("POST", f"{w.url}/token")}

    token = (await begin(w, agent, **proof(signer)))["refresh_token"]
    refused(await refresh(w, agent, token))
    refused(await refresh(w, agent, token, headers=proof(thief)))
    answer = await refresh(w, agent, token, headers=proof(signer))
    assert answer.json()["token_type"] == "DPoP"
    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": thumbprint(agent.key.public)}


@pytest.mark.req("TOK-11", "DEL-01")
async def test_a_family_belongs_to_its_client(w: World) -> None:
    agent, other = agent_of(w), w.agent("menus", "list_menu")
    token = (await begin(w, agent))["refresh_token"]
    refused(await refresh(w, other, token))
    refused(await w.token({"grant_type": "refresh_token", "refresh_token": token}), "invalid_client", 401)
    for bad in ("drt_x", token[:-1] + ("A" if token[-1] != "A" else "B"), token.replace(".0.", ".1.")):
        refused(await refresh(w, agent, bad))
    assert (await refresh(w, agent, token)).status_code == 200


async def test_a_family_ages_and_idles_out(w: World) -> None:
    agent = agent_of(w)
    token = (await begin(w, agent))["refresh_token"]
    agent.held.clear()
    for _ in range(5):
        w.clock.forward(6 * 86_400 - 60)
        agent.held.clear()
        w.grant(agent, *_capabilities())
        answer = await refresh(w, agent, token)
        if answer.status_code != 200:
            break
        token = answer.json()["refresh_token"]
    else:
        w.clock.forward(86_400)
        refused(await refresh(w, agent, token))
        return
    raise AssertionError(answer.text)


def _capabilities() -> list[Any]:
    from tests.fakes.bridge_world import capability

    return [capability("list_menu", "create_order")]


@pytest.mark.req("DEL-10")
@pytest.mark.parametrize("cause", ["agent", "credential", "user", "rights", "code", "client", "subject", "person"])
async def test_whatever_it_was_made_from_ends_it(w: World, cause: str) -> None:
    agent = agent_of(w)
    given = await begin(w, agent)
    token, headers = given["refresh_token"], await w.admin_headers()
    expected = "invalid_grant"
    if cause == "agent":
        agent.state = "suspended"
    elif cause == "credential":
        agent.held.clear()
        expected = "invalid_scope"
    elif cause == "user":
        assert (await w.http.delete("/users/smith", headers=headers)).status_code == 204
    elif cause == "rights":
        await w.put_user("smith", "update_stock")
    elif cause == "client":
        answer = await w.post("/revoke", {"token": token, **w.assertion(agent.key)})
        assert answer.status_code == 200
    elif cause in ("subject", "person"):
        subject = {"format": "did", "url": agent.did} if cause == "subject" else {"format": "opaque", "id": "smith"}
        answer = await w.http.post("/revoke-subject", json={"sub_id": subject}, headers=headers)
        assert answer.status_code == 204, answer.text
    else:
        asking = question(agent, **ASKED)
        code = (await Browser(w).consent(asking.path, offline=True))["code"]
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": asking.verifier}
        forms = [{**fields, "redirect_uri": REDIRECT, **w.assertion(agent.key)} for _ in range(2)]
        token = (await w.token(forms[0])).json()["refresh_token"]
        refused(await w.token(forms[1]))
    refused(await refresh(w, agent, token), expected)


@pytest.mark.req("DEL-10")
async def test_revoking_the_family_ends_its_tokens_everywhere(w: World) -> None:
    agent = agent_of(w)
    first = await begin(w, agent)
    second = (await refresh(w, agent, first["refresh_token"])).json()
    await w.post("/revoke", {"token": second["refresh_token"], **w.assertion(agent.key)})
    assert await ended(w) == {claims_of(one["access_token"])["jti"] for one in (first, second)}


@pytest.mark.req("TOK-11")
async def test_a_restart_forgets_nothing(tmp_path: Any) -> None:
    async with world(tmp_path) as w:
        await w.put_resource()
        await w.put_user("smith", "list_menu", "create_order")
        agent = agent_of(w)
        first = await begin(w, agent)
        second = (await refresh(w, agent, first["refresh_token"])).json()
        database = (tmp_path / "bridge.db").read_bytes()
        for token in (first["refresh_token"], second["refresh_token"]):
            assert token.encode() not in database
            assert token.rsplit(".", 1)[1].encode() not in database
