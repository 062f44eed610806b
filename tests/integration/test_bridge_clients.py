"""Clients that are no agents: documents (CIMD), registered ones, pushed requests, and who may act through them."""

from __future__ import annotations

from typing import Any

import pytest

from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.proof.jwt import sign_jwt
from tests.fakes.bridge_clients import asked, basic, code, open_to_clients, publisher, redeem, register
from tests.fakes.bridge_world import (
    ASSERTION,
    REDIRECT,
    RESOURCE,
    Browser,
    World,
    answered,
    claims_of,
    w,
)

__all__ = ["w"]


def refused(answer: Any, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


# ---- a program without an agent


async def test_a_program_acts_for_a_user_where_the_resource_admits_programs(w: World) -> None:
    await open_to_clients(w)
    async with publisher() as site:
        asking = asked(site.client_id)
        answer = await redeem(w, asking, await code(w, asking), client_id=site.client_id)
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["access_token"])
        assert (claims["sub"], claims["client_id"], claims["sub_profile"]) == ("smith", site.client_id, "user")
        assert "act" not in claims
        assert claims["scope"] == "tool:assign_delivery tool:create_order tool:delete_order tool:list_menu"
        event = (await w.events())[-1]
        assert (event["principal"], event["client_id"], event["actors"]) == ("smith", site.client_id, [])


@pytest.mark.req("OAU-08")
async def test_the_consent_page_shows_who_published_the_program(w: World) -> None:
    await open_to_clients(w)
    async with publisher() as site:
        page = (await Browser(w).login(asked(site.client_id).path)).text
        assert "Notebook" in page
        assert f"<code>{site.url.removeprefix('http://')}</code>" in page
        assert "without an agent identity" in page


@pytest.mark.req("OAU-10", "DEL-03")
async def test_agents_alone_is_the_default(w: World) -> None:
    async with publisher() as site:
        answer = answered(await w.http.get(asked(site.client_id).path))
        assert (answer["error"], answer["iss"], answer["state"]) == ("unauthorized_client", w.url, "st-42")


async def test_without_resource_the_only_one_for_programs_is_meant(w: World) -> None:
    async with publisher() as site:
        asking = asked(site.client_id, resource=None, scope=None)
        assert answered(await w.http.get(asking.path))["error"] == "invalid_target"
        await open_to_clients(w)
        answer = await redeem(w, asking, await code(w, asking), client_id=site.client_id)
        assert claims_of(answer.json()["access_token"])["aud"] == RESOURCE


# ---- documents


@pytest.mark.req("OAU-11")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "https://elsewhere.example/client.json"},
        {"client_id": None},
        {"client_name": None},
        {"client_name": "a\u202eb"},
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": ["https://x.example/../y"]},
        {"redirect_uris": [7]},
        {"client_secret": "s"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"redirect_uris": [REDIRECT], "padding": "x" * 6_000},
    ],
)
async def test_a_document_is_read_strictly_and_its_errors_stay_here(w: World, changes: dict[str, Any]) -> None:
    await open_to_clients(w)
    async with publisher() as site:
        site.changes = changes
        answer = await w.http.get(asked(site.client_id).path)
        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.req("OAU-11", "NET-04")
async def test_a_document_is_fetched_once_in_a_while_and_never_by_redirect(w: World) -> None:
    await open_to_clients(w)
    async with publisher() as site:
        for path in ("/moved.json", "/none.json", "/"):
            assert (await w.http.get(asked(site.url + path).path)).status_code == 400
        site.status = 500
        for _ in range(3):
            assert (await w.http.get(asked(site.client_id).path)).status_code == 400
        assert site.fetches == 1
        site.status, site.headers = 200, {"Cache-Control": "max-age=5"}
        w.clock.forward(31)
        assert (await w.http.get(asked(site.client_id).path)).status_code == 200
        w.clock.forward(59)
        assert (await w.http.get(asked(site.client_id).path)).status_code == 200
        assert site.fetches == 2
        w.clock.forward(2)
        assert (await w.http.get(asked(site.client_id).path)).status_code == 200
        assert site.fetches == 3


@pytest.mark.req("OAU-11")
@pytest.mark.parametrize(
    "client_id",
    [
        "https://127.0.0.1/x",
        "https://x.example",
        "https://x.example/",
        "https://x.example/a/../b",
        "https://x.example/a#b",
        "https://x.example/a?b",
        "https://u@x.example/a",
        "http://x.example/a",
        "https://x.example/a b",
        "ftp://x.example/a",
    ],
)
async def test_not_every_url_is_a_client(w: World, client_id: str) -> None:
    assert (await w.http.get(asked(client_id).path)).status_code == 400


@pytest.mark.req("OAU-07", "OAU-06")
async def test_a_published_key_authenticates_the_client_and_nothing_less_does(w: World) -> None:
    await open_to_clients(w)
    key = SigningKey.generate()
    async with publisher() as site:
        jwk = public_jwk(key.public, kid="c1")
        site.changes = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}}
        asking = asked(site.client_id)

        def assertion(signing: SigningKey, kid: str = "c1") -> dict[str, str]:
            now = int(w.clock().timestamp())
            w.count += 1
            said = {"iss": site.client_id, "sub": site.client_id, "aud": w.url, "iat": now, "exp": now + 60}
            text = sign_jwt({**said, "jti": str(w.count)}, typ="JWT", key=signing, kid=kid)
            return {"client_assertion_type": ASSERTION, "client_assertion": text}

        value = await code(w, asking)
        refused(await redeem(w, asking, value, client_id=site.client_id), "invalid_client", 401)
        refused(await redeem(w, asking, value, **assertion(SigningKey.generate())), "invalid_client", 401)
        refused(await redeem(w, asking, value, **assertion(key, kid="c2")), "invalid_client", 401)
        assert (await redeem(w, asking, value, **assertion(key))).status_code == 200


# ---- registered clients


@pytest.mark.req("OAU-06", "OAU-15")
async def test_a_registered_client_authenticates_by_its_one_method(w: World) -> None:
    await open_to_clients(w)
    secret = await register(w, "legacy")
    assert len(secret) >= 43
    listed = (await w.http.get("/clients", headers=await w.admin_headers())).json()
    assert secret not in str(listed)
    asking = asked("legacy")
    value = await code(w, asking)
    wrong = await redeem(w, asking, value, headers=basic("legacy", "x"))
    unknown = await redeem(w, asking, value, headers=basic("nobody", "x"))
    for answer in (wrong, unknown):
        refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"].startswith("Basic ")
    same = [{**answer.json(), "request_id": ""} for answer in (wrong, unknown)]
    assert same[0] == same[1]
    refused(await redeem(w, asking, value, client_id="legacy", client_secret=secret), "invalid_client", 401)
    refused(await redeem(w, asking, value, client_id="legacy"), "invalid_client", 401)
    both = await redeem(w, asking, value, headers=basic("legacy", secret), client_secret=secret)
    refused(both, "invalid_request")
    assert (await redeem(w, asking, value, headers=basic("legacy", secret))).status_code == 200


async def test_both_halves_of_basic_are_form_encoded(w: World) -> None:
    await open_to_clients(w)
    secret = await register(w, "le~ga.cy", auth_method="client_secret_post")
    asking = asked("le~ga.cy")
    value = await code(w, asking)
    assert (await redeem(w, asking, value, client_id="le~ga.cy", client_secret=secret)).status_code == 200


async def test_a_registered_client_can_be_an_agent(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    secret = await register(w, "legacy", agent=agent.did)
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    answer = await w.post("/token", form, **basic("legacy", secret))
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["client_id"]) == (agent.did, agent.did)
    asking = asked("legacy")
    delegated = await redeem(w, asking, await code(w, asking), headers=basic("legacy", secret))
    claims = claims_of(delegated.json()["access_token"])
    assert (claims["sub"], claims["client_id"], claims["act"]["sub"]) == ("smith", "legacy", agent.did)


async def test_a_program_has_no_rights_of_its_own(w: World) -> None:
    await open_to_clients(w)
    secret = await register(w, "legacy")
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    refused(await w.post("/token", form, **basic("legacy", secret)), "unauthorized_client")


@pytest.mark.req("DEL-10")
async def test_a_deleted_client_and_its_tokens_are_gone(w: World) -> None:
    await open_to_clients(w)
    secret = await register(w, "legacy")
    asking = asked("legacy")
    token = (await redeem(w, asking, await code(w, asking), headers=basic("legacy", secret))).json()["access_token"]
    assert (await w.http.delete("/clients/legacy", headers=await w.admin_headers())).status_code == 204
    feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
    assert [claims_of(item["set"])["sub_id"]["uri"] for item in feed] == [claims_of(token)["jti"]]
    assert (await w.http.get(asking.path)).status_code == 400
    assert (await w.http.delete("/clients/legacy", headers=await w.admin_headers())).status_code == 404


@pytest.mark.req("OAU-03", "WEB-03", "TOK-13")
@pytest.mark.parametrize(
    ("client_id", "changes"),
    [
        ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", {}),
        ("https:%2F%2Fx.example%2Fa", {}),
        ("legacy", {"redirect_uris": ["http://x.example/cb"]}),
        ("legacy", {"auth_method": "none", "agent": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}),
        ("legacy", {"auth_method": "private_key_jwt"}),
        ("legacy", {"auth_method": "private_key_jwt", "keys": [{"kty": "oct", "k": "AA"}]}),
        ("legacy", {"agent": "orders"}),
        ("legacy", {"secret": "mine"}),
    ],
)
async def test_a_client_is_registered_in_its_form_or_not_at_all(
    w: World, client_id: str, changes: dict[str, Any]
) -> None:
    body = {"name": "Legacy", "redirect_uris": [REDIRECT], "auth_method": "client_secret_basic", **changes}
    answer = await w.http.put(f"/clients/{client_id}", json=body, headers=await w.admin_headers())
    assert answer.status_code == 400, answer.text
