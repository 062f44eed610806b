"""DPoP at a real bridge: whoever offers a key gets a token bound to it (RFC 9449, 5)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from did_agent.client.bridge import BridgeClient
from did_agent.client.dpop import DPoPSigner
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint
from did_agent.tokens.dpop import make_proof
from tests.fakes.bridge_world import RESOURCE, Actor, World, claims_of, w, world

__all__ = ["w"]


def proof(w: World, key: SigningKey, **changes: Any) -> str:
    return make_proof(key, **{"method": "POST", "url": f"{w.url}/token", "now": w.clock(), **changes})


async def ask(w: World, agent: Actor, *proofs: str, **form: str) -> httpx2.Response:
    fields = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(agent.key), **form}
    headers = [("Content-Type", "application/x-www-form-urlencoded"), *(("DPoP", one) for one in proofs)]
    content = str(httpx2.QueryParams(fields))
    return await w.http.post("/token", content=content, headers=headers)


@pytest.mark.req("TOK-09")
async def test_a_proof_binds_the_token_to_its_key(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    answer = await ask(w, agent, proof(w, agent.key))
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": thumbprint(agent.key.public)}
    plain = await ask(w, agent)
    assert plain.json()["token_type"] == "Bearer"
    assert "cnf" not in claims_of(plain.json()["access_token"])
    metadata = (await w.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["dpop_signing_alg_values_supported"] == ["EdDSA", "Ed25519", "ES256"]


@pytest.mark.req("TOK-10")
async def test_a_bad_proof_gives_no_token_and_leaves_a_record(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    good = proof(w, agent.key)
    assert (await ask(w, agent, good)).status_code == 200
    bad = [
        [good],  # used before
        [proof(w, agent.key), proof(w, agent.key)],
        [proof(w, agent.key, method="GET")],
        [proof(w, agent.key, url=f"{w.url}/revoke")],
        [proof(w, agent.key, now=w.clock() - timedelta(seconds=301))],
        ["abc"],
    ]
    for proofs in bad:
        answer = await ask(w, agent, *proofs)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof"), answer.text
        event = (await w.events())[-1]
        assert (event["decision"], event["reason"]) == ("deny", "invalid_dpop_proof")


@pytest.mark.req("TOK-10")
async def test_of_many_uses_of_one_proof_one_succeeds(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    one = proof(w, agent.key)
    answers = await asyncio.gather(*(ask(w, agent, one) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


@pytest.mark.req("TOK-09")
async def test_a_resource_can_demand_bound_tokens(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    body = {"resource": RESOURCE, "name": "Urban Bites", "tools": {"list_menu": "may look"}, "binding": "required"}
    put = await w.http.put("/resources", json=body, headers=await w.admin_headers())
    assert put.json()["binding"] == "required"
    refused = await ask(w, agent)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert (await ask(w, agent, proof(w, agent.key))).status_code == 200


async def test_the_client_sends_the_nonce_it_is_asked_for(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DID_AGENT_DPOP_NONCES", "true")
    async with world(tmp_path) as w:
        await w.put_resource()
        agent = w.agent("orders", "list_menu")
        bare = await ask(w, agent, proof(w, agent.key))
        assert (bare.status_code, bare.json()["error"]) == (400, "use_dpop_nonce")
        nonce = bare.headers["dpop-nonce"]
        other = ("y" if nonce[0] == "x" else "x") + nonce[1:]
        assert (await ask(w, agent, proof(w, agent.key, nonce=other))).json()["error"] == "use_dpop_nonce"
        answer = await ask(w, agent, proof(w, agent.key, nonce=nonce))
        assert (answer.status_code, answer.headers["dpop-nonce"]) == (200, nonce)
        w.clock.forward(241)  # the period of the nonce and the one after it are over
        assert (await ask(w, agent, proof(w, agent.key, nonce=nonce))).json()["error"] == "use_dpop_nonce"
        client = BridgeClient(w.url, clock=w.clock)
        vp = await w.vp(agent)
        text = await client.exchange(json.loads(vp), resource=RESOURCE, dpop=DPoPSigner(agent.key, clock=w.clock))
        assert claims_of(text)["cnf"] == {"jkt": thumbprint(agent.key.public)}


@pytest.mark.req("TOK-09")
async def test_the_bridges_own_api_takes_no_bound_token(w: World) -> None:
    answer = await w.post(
        "/token",
        {"grant_type": "client_credentials", "resource": w.url, **w.assertion(w.operator)},
        DPoP=proof(w, w.operator),
    )
    token = answer.json()["access_token"]
    assert (await w.http.get("/users", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await w.http.get("/users", headers={"Authorization": f"DPoP {token}"})).status_code == 401
    assert (await w.http.get("/users", headers=await w.admin_headers())).status_code == 200
