"""Clients that register themselves: off by default, bounded, and each the master of its own entry (RFC 7591, 7592)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bridge.adapters.sql import SQLStore
from bridge.service import registration
from did_agent.adapters.sql import open_database
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.proof.jwt import sign_jwt
from tests.fakes.bridge_clients import asked, code, open_to_clients, redeem, register
from tests.fakes.bridge_world import ASSERTION, REDIRECT, Browser, World, cheap_passwords, claims_of, world

METADATA = "/.well-known/oauth-authorization-server"
INITIAL = "an-initial-access-token"


@pytest.fixture(params=["sqlite", *(["postgres"] if os.environ.get("DID_AGENT_TEST_POSTGRES") else [])])
async def r(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A bridge at which three clients a day may register themselves from one address."""
    cheap_passwords(monkeypatch)
    database = os.environ.get("DID_AGENT_TEST_POSTGRES") if request.param == "postgres" else None
    async with world(tmp_path, database=database, registration=True, registrations_per_day=3) as running:
        await open_to_clients(running)
        await running.put_user("smith", "list_menu", "create_order")
        yield running


async def enter(w: World, *, token: str | None = None, **changes: Any) -> httpx2.Response:
    """Register an honest client; None removes a member."""
    members = {"client_name": "Notebook", "redirect_uris": [REDIRECT], **changes}
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await w.http.post(
        "/register", json={name: value for name, value in members.items() if value is not None}, headers=headers
    )


def held(answer: httpx2.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['registration_access_token']}"}


@pytest.mark.req("OAU-12")
async def test_it_is_off_unless_the_operator_wants_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (await enter(w)).status_code == 404
        assert "registration_endpoint" not in (await w.http.get(METADATA)).json()


@pytest.mark.req("OAU-12")
async def test_a_public_client_registers_and_acts_for_a_person_who_consents(r: World) -> None:
    answer = await enter(r, grant_types=["authorization_code", "refresh_token"], unheard_of={"x": 1})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert (said["token_endpoint_auth_method"], said["redirect_uris"]) == ("none", [REDIRECT])
    assert "client_secret" not in said
    assert (await r.http.get(METADATA)).json()["registration_endpoint"] == f"{r.url}/register"
    asking = asked(said["client_id"])
    assert "nobody checked this name" in (await Browser(r).login(asking.path)).text
    redeemed = await redeem(r, asking, await code(r, asking), client_id=said["client_id"])
    assert redeemed.status_code == 200, redeemed.text
    assert claims_of(redeemed.json()["access_token"])["client_id"] == said["client_id"]
    event = next(one for one in await r.events() if one["action"] == "client.register")
    assert (event["decision"], event["client_id"]) == ("allow", said["client_id"])


@pytest.mark.req("OAU-12")
async def test_a_client_with_a_key_registers_and_must_use_it(r: World) -> None:
    key = SigningKey.generate()
    jwks = {"keys": [public_jwk(key.public, kid="k1")]}
    answer = await enter(r, token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    assert answer.status_code == 201, answer.text
    name = answer.json()["client_id"]
    asking = asked(name)
    now = int(r.clock().timestamp())
    said = {"iss": name, "sub": name, "aud": r.url, "iat": now, "exp": now + 60, "jti": "1"}
    made = sign_jwt(said, typ="JWT", key=key, kid="k1")
    proof = {"client_assertion_type": ASSERTION, "client_assertion": made}
    assert (await redeem(r, asking, await code(r, asking), client_id=name)).status_code == 401
    value = await code(r, asking)
    redeemed = await redeem(r, asking, value, headers={}, client_id=name, **proof)
    assert redeemed.status_code == 200, redeemed.text


@pytest.mark.req("OAU-12")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/*"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/../b"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT] * 17}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{}]}}, "invalid_client_metadata"),
        ({"jwks_uri": "https://a.example/jwks"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": []}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"client_name": "x" * 65}, "invalid_client_metadata"),
        ({"require_pushed_authorization_requests": "yes"}, "invalid_client_metadata"),
    ],
)
async def test_what_cannot_be_registered(tmp_path: Path, changes: dict[str, Any], error: str) -> None:
    async with world(tmp_path, registration=True) as w:
        answer = await enter(w, **changes)
        assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
        assert not [one for one in await w.events() if one["action"] == "client.register"]


@pytest.mark.req("OAU-12")
async def test_one_address_registers_only_so_many_in_a_day(r: World) -> None:
    answers = await asyncio.gather(*(enter(r) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"] == "quota_exceeded"
    event = [one for one in await r.events() if one["action"] == "client.register"][-1]
    assert (event["decision"], event["reason"]) == ("deny", "quota_exceeded")
    r.clock.forward(86_400)
    assert (await enter(r)).status_code == 201


@pytest.mark.req("OAU-12")
async def test_everybody_together_registers_only_so_many_in_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "PER_DAY", 2)
    async with world(tmp_path, registration=True) as w:
        assert [(await enter(w)).status_code for _ in range(4)] == [201, 201, 429, 429]


@pytest.mark.req("OAU-12")
async def test_the_operator_can_ask_for_an_initial_token(tmp_path: Path) -> None:
    async with world(tmp_path, registration=True, registration_token=INITIAL) as w:
        bare, wrong = await enter(w), await enter(w, token="another")
        assert (bare.status_code, bare.headers["www-authenticate"]) == (401, "Bearer")
        assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert (await enter(w, token=INITIAL)).status_code == 201
        reasons = [one["reason"] for one in await w.events() if one["action"] == "client.register"]
        assert reasons == ["not_authenticated", "wrong_key", "allowed"]


@pytest.mark.req("OAU-12")
async def test_a_client_reads_and_ends_its_own_registration_and_no_other(r: World) -> None:
    mine, other = await enter(r), await enter(r)
    place = mine.json()["registration_client_uri"]
    assert place == f"{r.url}/register/{mine.json()['client_id']}"
    assert (await r.http.get(place, headers=held(mine))).json() == mine.json()
    for headers in ({}, held(other), {"Authorization": "Bearer x"}):
        assert (await r.http.get(place, headers=headers)).status_code == 401
        assert (await r.http.delete(place, headers=headers)).status_code == 401
    assert (await r.http.put(place, json=mine.json(), headers=held(mine))).status_code == 405
    assert (await r.http.get(f"{r.url}/register/dyn-nobody", headers=held(mine))).status_code == 401
    asking = asked(mine.json()["client_id"])
    value = await code(r, asking)
    assert (await r.http.delete(place, headers=held(mine))).status_code == 204
    assert (await redeem(r, asking, value, client_id=mine.json()["client_id"])).status_code == 401
    assert (await r.http.get(place, headers=held(mine))).status_code == 401
    assert (await r.http.get(other.json()["registration_client_uri"], headers=held(other))).status_code == 200


@pytest.mark.req("OAU-12")
async def test_what_an_operator_takes_over_is_the_operators(r: World) -> None:
    mine = await enter(r)
    place, name = mine.json()["registration_client_uri"], mine.json()["client_id"]
    await register(r, name, auth_method="none")
    assert (await r.http.get(place, headers=held(mine))).status_code == 401
    assert (await r.http.delete(place, headers=held(mine))).status_code == 401
    listed = (await r.http.get("/clients", headers=await r.admin_headers())).json()["clients"]
    assert [one["client_id"] for one in listed] == [name]


@pytest.mark.req("OAU-12")
async def test_a_client_nobody_uses_is_forgotten(r: World) -> None:
    used, idle, kept = await enter(r), await enter(r), await enter(r)
    await register(r, kept.json()["client_id"], auth_method="none")
    r.clock.now += timedelta(days=20)
    asking = asked(used.json()["client_id"])
    assert (await redeem(r, asking, await code(r, asking), client_id=used.json()["client_id"])).status_code == 200
    r.clock.now += timedelta(days=11)
    engine = open_database(r.database)
    try:
        await SQLStore(engine, recorded=lambda: None).forget(r.clock())
    finally:
        await engine.dispose()
    answers = [await r.http.get(one.json()["registration_client_uri"], headers=held(one)) for one in (used, idle)]
    assert [answer.status_code for answer in answers] == [200, 401]
    listed = (await r.http.get("/clients", headers=await r.admin_headers())).json()["clients"]
    assert sorted(one["client_id"] for one in listed) == sorted(one.json()["client_id"] for one in (used, kept))
