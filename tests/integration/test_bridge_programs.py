"""Agents behind programs (forms A, B1, B2), and requests that are pushed before."""

from __future__ import annotations

from typing import Any

import pytest

from did_agent.client.dpop import DPoPSigner
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint
from tests.fakes.bridge_clients import asked, code, open_to_clients, publisher, redeem, register
from tests.fakes.bridge_world import (
    EXCHANGE,
    REDIRECT,
    RESOURCE,
    VP,
    Browser,
    World,
    answered,
    claims_of,
    question,
    w,
)

__all__ = ["w"]
CODE = "urn:did-agent:token-type:authorization-code"


def refused(answer: Any, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


# ---- an agent behind a program: forms A, B1, B2


@pytest.mark.req("DEL-01", "DEL-02")
@pytest.mark.parametrize("form", ["A", "B1", "B2"])
@pytest.mark.parametrize("proof", ["vp", "vp+jwt", "token", "assertion"])
async def test_the_requested_agent_proves_itself_in_each_form(w: World, form: str, proof: str) -> None:
    agent, other = w.agent("orders", "list_menu"), w.agent("menus", "list_menu")
    async with publisher() as site:
        asking = asked(site.client_id, requested_actor=agent.did)

        async def proven(by: Any) -> str:
            if proof == "vp":
                return await w.vp(by)
            if proof == "vp+jwt":
                return w.vp_jwt(by)
            if proof == "token":
                return str((await w.client_credentials(by.key, resource=RESOURCE)).json()["access_token"])
            return w.assertion(by.key)["client_assertion"]

        async def send(value: str, actor_token: str) -> Any:
            fields = {"client_id": site.client_id, "actor_token": actor_token}
            if form == "A":
                return await redeem(w, asking, value, **fields)
            exchange = {"grant_type": EXCHANGE, "code_verifier": asking.verifier, "redirect_uri": REDIRECT, **fields}
            if form == "B1":
                return await w.token({**exchange, "auth_code": value})
            return await w.token({**exchange, "subject_token": value, "subject_token_type": CODE})

        answer = await send(await code(w, asking), await proven(agent))
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["access_token"])
        assert (claims["sub"], claims["act"]["sub"], claims["client_id"]) == ("smith", agent.did, site.client_id)
        burnt = await code(w, asking)
        refused(await send(burnt, await proven(other)), "invalid_grant")
        refused(await send(burnt, await proven(agent)), "invalid_grant")
        refused(await redeem(w, asking, await code(w, asking), client_id=site.client_id), "invalid_grant")


@pytest.mark.req("DEL-01")
async def test_a_delegated_token_proves_no_actor(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    mine = question(agent)
    given = await w.token(
        {
            "grant_type": "authorization_code",
            "code": await code(w, mine),
            "code_verifier": mine.verifier,
            "redirect_uri": REDIRECT,
            **w.assertion(agent.key),
        }
    )
    async with publisher() as site:
        asking = asked(site.client_id, requested_actor=agent.did)
        answer = await redeem(
            w, asking, await code(w, asking), client_id=site.client_id, actor_token=given.json()["access_token"]
        )
        refused(answer, "invalid_grant")


@pytest.mark.req("DEL-02", "DEL-03")
async def test_an_actor_nobody_consented_to_is_refused(w: World) -> None:
    await open_to_clients(w)
    agent = w.agent("orders", "list_menu")
    async with publisher() as site:
        asking = asked(site.client_id)
        answer = await redeem(
            w,
            asking,
            await code(w, asking),
            client_id=site.client_id,
            actor_token=await w.vp(agent),
            actor_token_type=VP,
        )
        refused(answer, "invalid_grant")
        unknown = asked(site.client_id, requested_actor="did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")
        assert answered(await w.http.get(unknown.path))["error"] == "invalid_request"
        agent.state = "suspended"
        assert answered(await w.http.get(asked(site.client_id, requested_actor=agent.did).path))["error"] == (
            "invalid_request"
        )


# ---- pushed requests


async def test_a_pushed_request_is_used_once_by_its_client(w: World) -> None:
    agent, other = w.agent("orders", "list_menu"), w.agent("menus", "list_menu")
    asking = question(agent)
    pushed = await w.post("/par", {**asking.parameters, **w.assertion(agent.key)})
    assert pushed.status_code == 201, pushed.text
    uri = pushed.json()["request_uri"]
    assert uri.startswith("urn:ietf:params:oauth:request_uri:")
    assert pushed.json()["expires_in"] == 300
    named = asked(agent.did)
    named.parameters = {"client_id": agent.did, "request_uri": uri}
    foreign = asked(other.did)
    foreign.parameters = {"client_id": other.did, "request_uri": uri}
    assert (await w.http.get(foreign.path)).status_code == 400
    answer = await Browser(w).consent(named.path)
    assert (answer["state"], answer["iss"]) == ("st-42", w.url)
    asking.parameters = named.parameters
    redeemed = await redeem(w, asking, answer["code"], **w.assertion(agent.key))
    assert redeemed.status_code == 200, redeemed.text
    again = await Browser(w).login(named.path)
    assert again.status_code == 200  # the question is shown, its answer is not taken
    from tests.fakes.bridge_world import form_of

    page = form_of(again.text)
    browser = Browser(w)
    page = form_of((await browser.login(named.path)).text)
    refusal = await browser.submit(named.path, [*page.fields.items(), ("decision", "deny")])
    assert refusal.status_code == 403


@pytest.mark.req("OAU-01", "OAU-05")
async def test_a_pushed_request_is_judged_at_once(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    for changes, error in (
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
    ):
        body = {**question(agent).parameters, **changes, **w.assertion(agent.key)}
        refused(await w.post("/par", body), error)
    refused(await w.post("/par", question(agent).parameters), "invalid_client", 401)


@pytest.mark.req("OAU-02", "TOK-10")
async def test_a_proof_when_pushing_binds_the_code_to_its_key(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    signer = DPoPSigner(agent.key, clock=w.clock)
    asking = question(agent)

    async def fresh() -> str:
        body = {**asking.parameters, **w.assertion(agent.key)}
        pushed = await w.post("/par", body, DPoP=signer.proof("POST", f"{w.url}/par"))
        named = asked(agent.did)
        named.parameters = {"client_id": agent.did, "request_uri": pushed.json()["request_uri"]}
        return await code(w, named)

    refused(await redeem(w, asking, await fresh(), **w.assertion(agent.key)), "invalid_grant")
    other = DPoPSigner(SigningKey.generate(), clock=w.clock).proof("POST", f"{w.url}/token")
    stolen = await redeem(w, asking, await fresh(), headers={"DPoP": other}, **w.assertion(agent.key))
    refused(stolen, "invalid_grant")
    proof = {"DPoP": signer.proof("POST", f"{w.url}/token")}
    answer = await redeem(w, asking, await fresh(), headers=proof, **w.assertion(agent.key))
    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": thumbprint(agent.key.public)}


async def test_a_client_can_be_held_to_pushing(w: World) -> None:
    await open_to_clients(w)
    await register(w, "legacy", require_pushed=True)
    assert answered(await w.http.get(asked("legacy").path))["error"] == "invalid_request"
