"""Metadata, health, and what operators may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from did_agent.keys.jwk import parse_public_jwk, thumbprint
from tests.fakes.bridge_world import PASSWORD, RESOURCE, World, claims_of, code_for, redeem, w, world

__all__ = ["w"]


async def test_the_metadata_promises_what_runs_and_nothing_else(w: World) -> None:
    answer = await w.http.get("/.well-known/oauth-authorization-server")
    document = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert document["issuer"] == w.url
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "challenge_endpoint"):
        assert document[name].startswith(w.url + "/")
    assert document["code_challenge_methods_supported"] == ["S256"]
    methods = ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"]
    assert document["token_endpoint_auth_methods_supported"] == methods
    assert document["client_id_metadata_document_supported"] is True
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["response_types_supported"] == ["code"]
    assert "registration_endpoint" not in document
    assert document["introspection_endpoint"] == f"{w.url}/introspect"


async def test_the_keys_are_public_and_named_by_their_thumbprint(w: World) -> None:
    (jwk,) = (await w.http.get("/.well-known/jwks.json")).json()["keys"]
    assert "d" not in jwk
    assert jwk["kid"] == thumbprint(parse_public_jwk({name: jwk[name] for name in ("kty", "crv", "x")}))
    assert (jwk["use"], jwk["alg"]) == ("sig", "EdDSA")


async def test_an_issuer_with_a_path_is_found_under_both_well_known_forms(tmp_path: Path) -> None:
    async with world(tmp_path, path="/tenant1") as running:
        root = running.url.removesuffix("/tenant1")
        for url in (
            f"{root}/.well-known/oauth-authorization-server/tenant1",
            f"{running.url}/.well-known/oauth-authorization-server",
        ):
            document = (await running.http.get(url)).json()
            assert document["issuer"] == running.url
            assert document["token_endpoint"] == f"{running.url}/token"
        assert (await running.http.get(f"{running.url}/.well-known/jwks.json")).status_code == 200


async def test_a_challenge_is_for_this_issuer_and_for_two_minutes(w: World) -> None:
    answer = await w.http.post("/challenge")
    body = answer.json()
    assert body["attestation_challenge"] == body["c_nonce"]
    assert (body["expires_in"], body["domain"]) == (120, w.url)
    assert answer.headers["cache-control"] == "no-store"


async def test_it_is_alive_and_ready(w: World) -> None:
    assert (await w.http.get("/livez")).status_code == 200
    assert (await w.http.get("/readyz")).status_code == 200


async def test_an_operator_lists_resources_and_people_without_their_secrets(w: World) -> None:
    headers = await w.admin_headers()
    listed = (await w.http.get("/resources", headers=headers)).json()["resources"]
    assert {one["resource"] for one in listed if one["built_in"]} == {w.url, w.issuer.url, "http://127.0.0.1:9"}
    assert next(one for one in listed if one["resource"] == RESOURCE)["scopes"]["tool:list_menu"] == "may list_menu"
    people = await w.http.get("/users", headers=headers)
    assert [one["username"] for one in people.json()["users"]] == ["smith"]
    assert "argon2" not in people.text


async def test_a_deleted_user_loses_tokens_and_cannot_sign_in(w: World) -> None:
    agent = w.agent("ordering", "list_menu")
    code, verifier = await code_for(w, agent)
    token = (await redeem(w, agent, code, verifier)).json()["access_token"]
    headers = await w.admin_headers()
    assert (await w.http.delete("/users/smith", headers=headers)).status_code == 204
    ended = [claims_of(item["set"])["sub_id"]["uri"] for item in (await w.http.get("/revocations")).json()["sets"]]
    assert claims_of(token)["jti"] in ended
    assert (await w.http.delete("/users/smith", headers=headers)).status_code == 404


@pytest.mark.req("WEB-01", "OAU-14")
async def test_every_operators_route_refuses_without_token_and_with_anothers(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    agents = (await w.exchange(await w.vp(agent))).json()["access_token"]
    issuers = (await w.client_credentials(w.operator, resource=w.issuer.url)).json()["access_token"]
    routes = [
        ("GET", "/resources"),
        ("PUT", "/resources"),
        ("GET", "/users"),
        ("PUT", "/users/jones"),
        ("DELETE", "/users/smith"),
    ]
    for method, path in routes:
        for headers in ({}, {"Authorization": f"Bearer {agents}"}, {"Authorization": f"Bearer {issuers}"}):
            answer = await w.http.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["request_id"]
    assert (await w.http.get("/users", headers=await w.admin_headers())).status_code == 200


async def test_a_revoked_operators_token_administers_no_more(w: World) -> None:
    headers = await w.admin_headers()
    token = headers["Authorization"].removeprefix("Bearer ")
    await w.post("/revoke", {"token": token, **w.assertion(w.operator)})
    assert (await w.http.get("/users", headers=headers)).status_code in (401, 403)


@pytest.mark.req("DEL-11", "WEB-08")
@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/users/did:key:z6Mk", {"name": "A", "password": PASSWORD, "rights": {}}, "invalid_parameter"),
        ("/users/a%20b", {"name": "A", "password": PASSWORD, "rights": {}}, "invalid_parameter"),
        ("/users/ann", {"name": "A\u202e", "password": PASSWORD, "rights": {}}, "invalid_parameter"),
        ("/users/ann", {"name": "A", "password": "short", "rights": {}}, "invalid_parameter"),
        ("/users/ann", {"name": "A", "password": PASSWORD, "rights": {"no uri": []}}, "malformed_credential"),
        ("/users/ann", {"name": "A", "password": PASSWORD, "rights": {}, "admin": True}, "invalid_parameter"),
        ("/resources", {"resource": "nothing", "name": "N", "tools": {}}, "malformed_credential"),
        ("/resources", {"resource": RESOURCE, "name": "N", "tools": {"a b": "words"}}, "malformed_credential"),
        ("/resources", {"resource": RESOURCE, "name": "N", "tools": {"a": "w\u0000"}}, "invalid_parameter"),
        ("/resources", {"resource": RESOURCE, "tools": {}}, "invalid_parameter"),
    ],
)
async def test_bad_resources_and_accounts_are_refused(w: World, path: str, body: dict[str, object], code: str) -> None:
    answer = await w.http.put(path, json=body, headers=await w.admin_headers())
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_the_deployments_own_resources_cannot_be_replaced(w: World) -> None:
    body = {"resource": w.url, "name": "N", "tools": {}}
    answer = await w.http.put("/resources", json=body, headers=await w.admin_headers())
    assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict")
