"""Introspection and revocation at a real bridge (RFC 7662, RFC 9701, RFC 7009, Global Token Revocation)."""

from __future__ import annotations

from typing import Any

import pytest

from did_agent.proof.jose import parse_compact
from tests.fakes.bridge_clients import basic, register
from tests.fakes.bridge_world import (
    OTHER_RESOURCE,
    RESOURCE,
    World,
    claims_of,
    code_for,
    redeem,
    w,
)

__all__ = ["w"]
INACTIVE = {"active": False}


async def ask(w: World, token: str, who: dict[str, str], accept: str = "application/json", **form: str) -> Any:
    return await w.post("/introspect", {"token": token, **form}, Accept=accept, **who)


async def resource_server(w: World, *resources: str) -> dict[str, str]:
    return basic("tools", await register(w, "tools", redirect_uris=[], resources=list(resources)))


@pytest.mark.req("TOK-12", "DEL-06")
async def test_a_resource_server_is_told_what_the_token_says(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    told = (await ask(w, token, await resource_server(w, RESOURCE))).json()
    assert told == {**claims_of(token), "active": True, "token_type": "Bearer"}
    assert told["act"]["sub"] == agent.did


@pytest.mark.req("TOK-12", "TOK-07")
async def test_a_token_is_inactive_to_whom_it_does_not_concern(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    assert (await ask(w, token, await resource_server(w, OTHER_RESOURCE))).json() == INACTIVE
    other = w.agent("menus", "list_menu")
    assert (await w.post("/introspect", {"token": token, **w.assertion(other.key)})).json() == INACTIVE
    assert (await w.post("/introspect", {"token": token, **w.assertion(agent.key)})).json()["active"] is True
    assert (await w.post("/introspect", {"token": token, **w.assertion(w.operator)})).json()["active"] is True
    nobody = await w.post("/introspect", {"token": token})
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")
    assert (await ask(w, "abc", await resource_server(w, RESOURCE))).json() == INACTIVE


@pytest.mark.req("TOK-12", "DEL-10")
@pytest.mark.parametrize("cause", ["expired", "revoked", "agent", "credential"])
async def test_a_token_that_does_not_stand_is_only_inactive(w: World, cause: str) -> None:
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    server = await resource_server(w, RESOURCE)
    assert (await ask(w, token, server)).json()["active"] is True
    if cause == "expired":
        w.clock.forward(331)
    elif cause == "revoked":
        await w.post("/revoke", {"token": token, **w.assertion(agent.key)})
    else:
        subject = agent.did if cause == "agent" else agent.held[0]["id"]
        await w.push("agent-suspended" if cause == "agent" else "credential-revoked", subject)
    assert (await ask(w, token, server)).json() == INACTIVE


async def test_the_answer_can_be_signed_for_the_caller(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    server = await resource_server(w, RESOURCE)
    answer = await ask(w, token, server, accept="application/token-introspection+jwt")
    assert answer.headers["content-type"] == "application/token-introspection+jwt"
    assert parse_compact(answer.text).type == "token-introspection+jwt"
    claims = claims_of(answer.text)
    assert (claims["iss"], claims["aud"]) == (w.url, "tools")
    assert claims["token_introspection"] == (await ask(w, token, server)).json()


@pytest.mark.req("TOK-08")
async def test_a_signed_answer_is_no_token(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    server = await resource_server(w, RESOURCE)
    signed = (await ask(w, token, server, accept="application/token-introspection+jwt")).text
    assert (await ask(w, signed, server)).json() == INACTIVE


@pytest.mark.req("OAU-06", "OAU-05")
async def test_introspection_reads_its_form_strictly(w: World) -> None:
    server = await resource_server(w, RESOURCE)
    assert (await w.post("/introspect", {}, **server)).json()["error"] == "invalid_request"
    twice = await w.post("/introspect", [("token", "a"), ("token", "b")], **server)
    assert twice.json()["error"] == "invalid_request"


@pytest.mark.req("REV-03", "WEB-01")
@pytest.mark.parametrize(
    ("sub_id", "status"),
    [
        ({"format": "opaque", "id": "smith"}, 204),
        ({"format": "opaque", "id": "nobody"}, 404),
        ({"format": "iss_sub", "iss": "https://elsewhere.example", "sub": "smith"}, 400),
        ({"format": "did", "url": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}, 204),
        ({"format": "did", "url": "did:web:agents.example"}, 204),
        ({"format": "did", "url": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doL"}, 400),
        ({"format": "opaque", "id": "did:key:zzz"}, 400),
        ({"format": "did", "url": "smith"}, 400),
        ({"format": "opaque", "id": "smith", "sub": "smith"}, 400),
        ({"format": "email", "email": "a@b.example"}, 400),
        ({}, 400),
    ],
)
async def test_an_operator_ends_everything_of_one_subject(w: World, sub_id: dict[str, str], status: int) -> None:
    answer = await w.http.post("/revoke-subject", json={"sub_id": sub_id}, headers=await w.admin_headers())
    assert answer.status_code == status, answer.text
    assert (await w.http.post("/revoke-subject", json={"sub_id": sub_id})).status_code == 401


@pytest.mark.req("DEL-10")
async def test_the_tokens_of_an_ended_subject_are_announced(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    pending, later = await code_for(w, agent)
    named = {"format": "iss_sub", "iss": w.url, "sub": "smith"}
    answer = await w.http.post("/revoke-subject", json={"sub_id": named}, headers=await w.admin_headers())
    assert answer.status_code == 204
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    assert claims_of(token)["jti"] in {claims_of(item["set"])["sub_id"]["uri"] for item in feed}
    refused = await redeem(w, agent, pending, later)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
