"""What the MCP conformance suite is going to ask of protected servers, asked of ours over HTTP.

Token audience validation, scope challenges for each operation (SEP-2350), and DPoP (RFC 9449; SEP-1932).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.keys.jwk import public_jwk, thumbprint
from did_agent.proof.jose import sign_compact
from did_agent.tokens.dpop import token_hash
from tests.conformance.mcp.authorized_server import (
    OPERATIONS,
    PROOF_KEY,
    SERVERS,
    STRANGER,
    Deployment,
    challenges,
    deployed,
    result_of,
)
from tests.fakes.foreign_issuer import signing_key, wall_clock

METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(SERVERS[request.param], tmp_path_factory.mktemp("data")) as deployment:
        yield deployment


@pytest.fixture(scope="module", params=SERVERS)
def demanding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The same with nonces."""
    with deployed(SERVERS[request.param], tmp_path_factory.mktemp("data"), dpop_nonce=True) as deployment:
        yield deployment


# ---- auth-token-audience-validation


@pytest.mark.req("TOK-06", "TOK-07")
def test_tokens_for_this_server_alone_are_accepted(server: Deployment) -> None:
    assert server.ask().status_code == 401
    assert server.ask(token=server.audience_token()).status_code == 200
    now = numeric_date(wall_clock())
    wrong = {
        "another audience": server.audience_token(aud="https://another-resource.example.com/mcp"),
        "no audience": server.audience_token(aud=None),
        "over": server.audience_token(iat=now - 4_200, exp=now - 600),
        "a key never published": server.audience_token(key=signing_key("RSA", "stranger")),
    }
    for what, token in wrong.items():
        response = server.ask(token=token)
        assert response.status_code == 401, what
        assert challenges(response)["Bearer"]["error"] == "invalid_token"


@pytest.mark.req("TOK-03")
def test_keys_are_fetched_when_the_first_token_comes_and_not_again_for_made_up_names(server: Deployment) -> None:
    assert server.ask(token=server.audience_token()).status_code == 200
    fetched = server.signing.served["/jwks.json"]
    assert fetched >= 1
    for number in range(20):
        text = server.audience_token(kid=f"made-up-{number}", key=signing_key("RSA"))
        assert server.ask(token=text).status_code == 401
    assert server.signing.served["/jwks.json"] == fetched


@pytest.mark.req("OAU-14")
def test_without_a_token_the_way_to_one_is_told(server: Deployment) -> None:
    response = server.ask()
    told = challenges(response)
    assert response.status_code == 401
    assert "error" not in told["Bearer"]
    document = server_metadata(server, told["Bearer"]["resource_metadata"])
    assert document["resource"] == server.url
    assert server.signing.issuer in document["authorization_servers"]
    assert set(told["DPoP"]["algs"].split()) == set(document["dpop_signing_alg_values_supported"])
    assert not [alg for alg in told["DPoP"]["algs"].split() if alg.startswith("HS") or alg == "none"]
    assert document["dpop_bound_access_tokens_required"] is False
    unbound = server.bound.token(kid=None, aud=server.url, client_id=None)
    assert server.ask(token=unbound).status_code == 200  # as the metadata says


def server_metadata(server: Deployment, url: str) -> dict[str, Any]:
    import httpx2

    assert url.startswith(server.url.removesuffix("/mcp") + METADATA)
    return dict(httpx2.get(url, trust_env=False).json())


# ---- sep-2350-server-scope-challenge

KINDS = {"signed": "signing", "opaque": "opaque"}


@pytest.mark.req("OAU-14", "DEL-04")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_challenge_names_every_scope_of_the_operation(server: Deployment, operation: str, kind: str) -> None:
    method, params, name, scopes = OPERATIONS[operation]
    low, half, full = (token_with(server, kind, *some) for some in (("c:baseline",), scopes[:1], scopes))
    for token in (low, half):
        response = server.ask(method, params, name=name, token=token)
        assert response.status_code == 403, response.text
        told = challenges(response)["Bearer"]
        assert told["error"] == "insufficient_scope"
        assert set(told["scope"].split()) == set(scopes)
        assert told["resource_metadata"].startswith(server.url.removesuffix("/mcp") + METADATA)
    response = server.ask(method, params, name=name, token=full)
    assert response.status_code == 200, response.text
    assert {"content", "contents", "messages"} & result_of(response).keys()


def token_with(server: Deployment, kind: str, *scopes: str) -> str:
    if kind == "signed":
        return server.audience_token(scope=" ".join(scopes), jti="-".join(scopes))
    text = f"opaque-{hashlib.sha256(' '.join(scopes).encode()).hexdigest()}"
    return server.opaque.grant(text, aud=server.url, scope=" ".join(scopes))


@pytest.mark.req("DEL-04")
def test_scopes_of_one_resource_are_not_those_of_another(server: Deployment) -> None:
    token = token_with(server, "opaque", "c:resources:read", "c:resources:static")
    static, template = OPERATIONS["static resource"], OPERATIONS["template resource"]
    assert server.ask(static[0], static[1], name=static[2], token=token).status_code == 200
    assert server.ask(template[0], template[1], name=template[2], token=token).status_code == 403


# ---- auth/dpop-server-validation


@pytest.mark.req("TOK-10")
def test_a_bound_token_beside_its_proof_is_accepted_and_each_proof_once(server: Deployment) -> None:
    token = server.bound_token()
    proof = server.proof(token)
    assert shown(server, token, proof).status_code == 200
    assert shown(server, token, proof).status_code == 401
    assert shown(server, token, server.proof(token)).status_code == 200


def shown(server: Deployment, token: str, *proofs: str, scheme: str = "DPoP") -> Any:
    return server.ask(token=token, scheme=scheme, headers=[("DPoP", proof) for proof in proofs])


def forged(
    server: Deployment, token: str, *, key: Any = PROOF_KEY, header: Any = None, leave_out: str = "", **changes: Any
) -> str:
    """Return a proof with some of it changed."""
    claims = {
        "jti": "x" + str(len(changes)) + leave_out,
        "htm": "POST",
        "htu": server.url,
        "iat": numeric_date(wall_clock()),
    }
    claims |= {"ath": token_hash(token), **changes}
    headers = {"typ": "dpop+jwt", "jwk": public_jwk(key.public), **(header or {})}
    return sign_compact(
        {name: value for name, value in headers.items() if name != leave_out},
        {name: value for name, value in claims.items() if name != leave_out},
        key,
    )


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    return ".".join(
        base64url.encode(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    )


def without_asymmetry(server: Deployment, token: str, alg: str) -> str:
    """Return a proof "signed" by nothing, or by a secret that everybody knows."""
    claims = {"jti": alg, "htm": "POST", "htu": server.url, "iat": numeric_date(wall_clock()), "ath": token_hash(token)}
    header = {"typ": "dpop+jwt", "alg": alg, "jwk": public_jwk(PROOF_KEY.public)}
    content = ".".join(by_hand(header, claims, b"").split(".")[:2])
    digest = hmac.digest(json.dumps(header["jwk"]).encode(), content.encode(), hashlib.sha256)
    return f"{content}.{base64url.encode(digest)}"


DEFECTS: dict[str, Any] = {
    "bad signature": lambda s, t: forged(s, t)[:-6] + "AAAAAA",
    "no jti": lambda s, t: forged(s, t, leave_out="jti"),
    "no htm": lambda s, t: forged(s, t, leave_out="htm"),
    "no htu": lambda s, t: forged(s, t, leave_out="htu"),
    "no iat": lambda s, t: forged(s, t, leave_out="iat"),
    "no ath": lambda s, t: forged(s, t, leave_out="ath"),
    "no jwk": lambda s, t: forged(s, t, leave_out="jwk"),
    "no typ": lambda s, t: forged(s, t, leave_out="typ"),
    "another typ": lambda s, t: forged(s, t, header={"typ": "jwt"}),
    "another htu": lambda s, t: forged(s, t, htu="https://wrong.example.com/mcp"),
    "another htm": lambda s, t: forged(s, t, htm="GET"),
    "another ath": lambda s, t: forged(s, t, ath="not-the-right-hash"),
    "a private key": lambda s, t: forged(s, t, header={"jwk": {**public_jwk(PROOF_KEY.public), "d": "AAAA"}}),
    "another key in jwk": lambda s, t: forged(s, t, header={"jwk": public_jwk(STRANGER.public)}),
    "303 s old": lambda s, t: forged(s, t, iat=numeric_date(wall_clock()) - 303),
    "303 s ahead": lambda s, t: forged(s, t, iat=numeric_date(wall_clock()) + 303),
    "iat as text": lambda s, t: forged(s, t, iat=str(numeric_date(wall_clock()))),
    "alg none": lambda s, t: without_asymmetry(s, t, "none"),
    "alg HS256": lambda s, t: without_asymmetry(s, t, "HS256"),
    "alg HS512": lambda s, t: without_asymmetry(s, t, "HS512"),
    "no JWT at all": lambda s, t: "this-is-not-a-jwt",
    "nothing": lambda s, t: "",
}


@pytest.mark.req("TOK-01", "TOK-02", "TOK-10")
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_proof_with_a_defect_is_refused_as_such(server: Deployment, defect: str) -> None:
    token = server.bound_token()
    response = shown(server, token, DEFECTS[defect](server, token))
    assert response.status_code == 401
    assert challenges(response)["DPoP"]["error"] == "invalid_dpop_proof"
    assert shown(server, token, server.proof(token)).status_code == 200


@pytest.mark.req("TOK-10")
@pytest.mark.parametrize("seconds", [-290, 290])
def test_the_window_of_a_proof_is_five_minutes_to_both_sides(server: Deployment, seconds: int) -> None:
    token = server.bound_token()
    proof = server.proof(token, now=wall_clock() + timedelta(seconds=seconds))
    assert shown(server, token, proof).status_code == 200


@pytest.mark.req("TOK-05", "TOK-10")
def test_two_proofs_and_none_are_refused(server: Deployment) -> None:
    token = server.bound_token()
    for proofs in ((), (server.proof(token), server.proof(token))):
        response = shown(server, token, *proofs)
        assert response.status_code == 401
        assert challenges(response)["DPoP"]["error"] == "invalid_dpop_proof"


@pytest.mark.req("TOK-07", "TOK-09")
def test_a_defect_of_the_token_is_refused_beside_a_good_proof(server: Deployment) -> None:
    now = numeric_date(wall_clock())
    wrong = {
        "of another key": server.bound_token(cnf={"jkt": thumbprint(STRANGER.public)}),
        "for another audience": server.bound_token(aud="https://another-resource.example.com/mcp"),
        "over": server.bound_token(iat=now - 4_000, exp=now - 60),
        "bound to nothing": server.bound_token(cnf=None),
        "by another issuer": server.bound_token(iss="https://evil.example.com"),
        "signed by its holder": server.bound_token(key=PROOF_KEY),
    }
    for what, token in wrong.items():
        response = shown(server, token, server.proof(token))
        assert response.status_code == 401, what
        assert challenges(response)["DPoP"]["error"] in ("invalid_token", "invalid_dpop_proof"), what


@pytest.mark.req("TOK-09")
def test_a_bound_token_is_no_bearer(server: Deployment) -> None:
    token = server.bound_token()
    for proofs in ((), (server.proof(token),)):
        response = shown(server, token, *proofs, scheme="Bearer")
        assert response.status_code == 401
        assert {"Bearer", "DPoP"} <= challenges(response).keys()
    assert shown(server, token, server.proof(token)).status_code == 200


@pytest.mark.req("TOK-10")
def test_a_nonce_of_the_server_goes_round(demanding: Deployment) -> None:
    token = demanding.bound_token()
    response = shown(demanding, token, demanding.proof(token))
    assert response.status_code == 401
    assert challenges(response)["DPoP"]["error"] == "use_dpop_nonce"
    nonce = response.headers["dpop-nonce"]
    good = shown(demanding, token, demanding.proof(token, nonce=nonce))
    assert good.status_code == 200
    assert good.headers["dpop-nonce"]
    stale = shown(demanding, token, demanding.proof(token, nonce="made-up"))
    assert (stale.status_code, challenges(stale)["DPoP"]["error"]) == (401, "use_dpop_nonce")
    bad = shown(demanding, token, forged(demanding, token, nonce=nonce, htm="GET"))
    assert challenges(bad)["DPoP"]["error"] == "invalid_dpop_proof"
