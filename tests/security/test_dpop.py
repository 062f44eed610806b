"""DPoP proofs (RFC 9449): every check of section 4.3, at the guard of an MCP server and by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.errors import BadDPoPProof, BadJOSE, DPoPNonceNeeded
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk, public_jwk, thumbprint
from did_agent.keys.multikey import generate_key as generate
from did_agent.proof.jose import parse_compact, sign_compact
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.dpop import WINDOW, make_proof, normalized, token_hash, verify_proof
from tests.fakes.guard_world import AGENT_KEY, NOW, OTHER_KEY, RESOURCE, World, call, token

URL = "https://bridge.example/token"
JKT = thumbprint(AGENT_KEY.public)
BOUND = Confirmation(jkt=JKT)


def forged(
    claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, *, key: Any = AGENT_KEY, **more: Any
) -> str:
    """Return an honest proof with some of it changed; None removes."""
    honest = {"jti": "j1", "htm": "POST", "htu": URL, "iat": numeric_date(NOW)}
    said = {name: value for name, value in {**honest, **(claims or {}), **more}.items() if value is not None}
    top = {"typ": "dpop+jwt", "jwk": public_jwk(key.public), **(header or {})}
    return sign_compact({name: value for name, value in top.items() if value is not None}, said, key)


def verify(*proofs: str, **changes: Any) -> Any:
    return verify_proof(proofs, **{"method": "POST", "url": URL, "now": NOW, "access_token": None, **changes})


def unsigned(proof: str, alg: str) -> str:
    _, body, tail = proof.split(".")
    head = base64url.encode(
        b'{"typ":"dpop+jwt","alg":"%s","jwk":{"kty":"OKP","crv":"Ed25519","x":"%s"}}'
        % (alg.encode(), base64url.encode(AGENT_KEY.public.raw).encode())
    )
    return f"{head}.{body}.{tail}"


@pytest.mark.parametrize("key", [AGENT_KEY, generate("P-256")], ids=["Ed25519", "P-256"])
def test_an_honest_proof_names_its_key(key: Any) -> None:
    proof = verify(make_proof(key, method="POST", url=URL, now=NOW))
    assert proof.confirmation == Confirmation(jkt=thumbprint(key.public))
    assert proof.replay_until >= NOW + timedelta(seconds=WINDOW)


BAD: dict[str, Callable[[], str]] = {
    "no typ": lambda: forged(header={"typ": None}),
    "another typ": lambda: forged(header={"typ": "JWT"}),
    "no key": lambda: forged(header={"jwk": None}),
    "private key": lambda: forged(header={"jwk": private_jwk(AGENT_KEY)}),
    "symmetric key": lambda: forged(header={"jwk": {"kty": "oct", "k": "AAAA"}}),
    "another key": lambda: forged(header={"jwk": public_jwk(OTHER_KEY.public)}),
    "weak key": lambda: forged(header={"jwk": {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(bytes(32))}}),
    "P-384": lambda: forged(key=generate("P-384")),
    "key link": lambda: forged(header={"jku": "https://evil.example/jwks"}),
    "crit": lambda: forged(header={"crit": ["exp"]}),
    "none": lambda: unsigned(forged(), "none"),
    "HS256": lambda: unsigned(forged(), "HS256"),
    "no jti": lambda: forged(jti=None),
    "empty jti": lambda: forged(jti=""),
    "long jti": lambda: forged(jti="x" * 257),
    "number jti": lambda: forged(jti=7),
    "no htm": lambda: forged(htm=None),
    "another method": lambda: forged(htm="GET"),
    "method in lower case": lambda: forged(htm="post"),
    "no htu": lambda: forged(htu=None),
    "another path": lambda: forged(htu="https://bridge.example/tokens"),
    "another host": lambda: forged(htu="https://evil.example/token"),
    "another scheme": lambda: forged(htu="http://bridge.example/token"),
    "another port": lambda: forged(htu="https://bridge.example:8443/token"),
    "a slash more": lambda: forged(htu=URL + "/"),
    "user information": lambda: forged(htu="https://x@bridge.example/token"),
    "no URL": lambda: forged(htu="token"),
    "no iat": lambda: forged(iat=None),
    "float iat": lambda: forged(iat=numeric_date(NOW) + 0.5),
    "true iat": lambda: forged(iat=True),
    "old": lambda: forged(iat=numeric_date(NOW) - WINDOW - 1),
    "from the future": lambda: forged(iat=numeric_date(NOW) + WINDOW + 1),
    "flipped": lambda: forged()[:-2] + ("A" if forged()[-2] != "A" else "B") + forged()[-1],
    "no JWS": lambda: "abc",
}


@pytest.mark.req("TOK-10", "TOK-02", "TOK-13", "TOK-01", "TOK-04", "TOK-06")
@pytest.mark.parametrize("name", BAD)
def test_a_proof_that_is_not_for_this_request_is_refused(name: str) -> None:
    with pytest.raises(BadDPoPProof):
        verify(BAD[name]())
    assert verify(forged()).jkt == JKT


@pytest.mark.req("TOK-10")
def test_exactly_one_header_is_read() -> None:
    for headers in ([], [forged(), forged()], [f"{forged()}, {forged()}"]):
        with pytest.raises(BadDPoPProof):
            verify(*headers)


@pytest.mark.req("TOK-06")
@pytest.mark.parametrize("seconds", [-WINDOW, 0, WINDOW])
def test_the_window_has_exact_edges(seconds: int) -> None:
    assert verify(forged(iat=numeric_date(NOW) + seconds)).jkt == JKT


@pytest.mark.req("TOK-10")
def test_a_proof_is_for_one_access_token() -> None:
    assert verify(forged(ath=token_hash("abc")), access_token="abc").jkt == JKT
    for ath in (None, token_hash("abd"), "abc", 1):
        with pytest.raises(BadDPoPProof):
            verify(forged(ath=ath), access_token="abc")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://A.example/x", "HTTPS://a.EXAMPLE/x"),
        ("https://a.example", "https://a.example:443/"),
        ("http://a.example:80/x?q=1#f", "http://a.example/x"),
        ("https://a.example/%7ex%2fy", "https://a.example/~x%2Fy"),
        ("https://[::1]:8443/x", "https://[::1]:8443/x"),
    ],
)
def test_one_url_has_one_normal_form(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


def test_an_escaped_slash_is_no_slash() -> None:
    assert normalized("https://a.example/x%2Fy") != normalized("https://a.example/x/y")


@pytest.mark.req("TOK-10", "TOK-14")
def test_another_spelling_of_the_same_request_is_the_same_replay_key() -> None:
    one, other = verify(forged()), verify(forged(htu="HTTPS://BRIDGE.example:443/token?x=1"))
    assert one.replay_key == other.replay_key
    assert verify(forged(jti="j2")).replay_key != one.replay_key


def test_a_nonce_is_asked_for_only_after_everything_else_holds() -> None:
    def want(nonce: str | None) -> None:
        if nonce != "n1":
            raise DPoPNonceNeeded

    with pytest.raises(DPoPNonceNeeded):
        verify(forged(), require_nonce=want)
    with pytest.raises(BadDPoPProof):
        verify(forged(htm="GET"), require_nonce=want)
    assert verify(forged(nonce="n1"), require_nonce=want).jkt == JKT


@pytest.mark.req("TOK-02")
def test_no_other_token_may_carry_a_key() -> None:
    with pytest.raises(BadJOSE):
        parse_compact(forged())


# ---- at the guard


@pytest.fixture
def world() -> World:
    return World()


async def show(world: World, text: str, *proofs: str, scheme: str = "DPoP") -> Any:
    headers = [("DPoP", proof) for proof in proofs]
    return await world.send(text, call("list_menu"), scheme=scheme, headers=headers)


def proof_for(text: str, **changes: Any) -> str:
    options: dict[str, Any] = {"method": "POST", "url": RESOURCE, "now": NOW, "access_token": text, **changes}
    return make_proof(options.pop("key", AGENT_KEY), **options)


@pytest.mark.req("TOK-09")
async def test_a_bound_token_needs_its_key_on_every_call(world: World) -> None:
    text = token(confirmation=BOUND)
    assert (await show(world, text, proof_for(text))).status_code == 200
    assert (await show(world, text, proof_for(text))).status_code == 200
    assert b"dpop" not in b"".join(name.encode() for name in world.received[0]["headers"])
    stolen = await show(world, text, scheme="Bearer")
    assert (stolen.status_code, world.events[-1].reason) == (401, "sender_not_proven")
    assert 'Bearer error="invalid_token"' in stolen.headers.get_list("www-authenticate")[0]


@pytest.mark.req("TOK-09", "TOK-10")
@pytest.mark.parametrize(
    "make",
    [
        lambda text: [],
        lambda text: [proof_for(text), proof_for(text)],
        lambda text: [proof_for(text, key=OTHER_KEY)],
        lambda text: [proof_for(text, method="GET")],
        lambda text: [proof_for(text, url="https://mcp.example/other")],
        lambda text: [proof_for(text, access_token=None)],
        lambda text: [proof_for(text, access_token="other")],
        lambda text: [proof_for(text, now=NOW - timedelta(seconds=303))],
        lambda text: [proof_for(text, now=NOW + timedelta(seconds=303))],
    ],
)
async def test_a_bad_proof_is_401_with_both_challenges(world: World, make: Any) -> None:
    text = token(confirmation=BOUND)
    response = await show(world, text, *make(text))
    assert response.status_code == 401
    bearer, dpop = response.headers.get_list("www-authenticate")
    assert bearer.startswith("Bearer ")
    assert dpop.startswith("DPoP ")
    assert 'algs="EdDSA Ed25519 ES256"' in dpop
    assert world.received == []
    assert world.events[-1].decision == "deny"


@pytest.mark.req("TOK-10")
async def test_a_proof_counts_once(world: World) -> None:
    text = token(confirmation=BOUND)
    proof = proof_for(text)
    assert (await show(world, text, proof)).status_code == 200
    again = await show(world, text, proof)
    assert (again.status_code, again.json()["code"]) == (401, "invalid_dpop_proof")
    assert 'error="invalid_dpop_proof"' in again.headers.get_list("www-authenticate")[1]


@pytest.mark.req("TOK-10")
async def test_a_refused_request_burns_no_proof(world: World) -> None:
    text = token(confirmation=BOUND)
    proof = proof_for(text)
    world.silent = True
    assert (await show(world, text, proof)).status_code == 503
    world.silent = False
    assert (await show(world, text, proof)).status_code == 200


@pytest.mark.req("TOK-09")
async def test_an_unbound_token_is_no_dpop_token(world: World) -> None:
    text = token()
    assert (await show(world, text, proof_for(text))).status_code == 401
    assert (await show(world, text, scheme="Bearer")).status_code == 200


@pytest.mark.req("TOK-09")
async def test_a_certificate_bound_token_needs_its_certificate(world: World) -> None:
    text = token(confirmation=Confirmation(x5t_s256="0" * 43))
    assert (await show(world, text, scheme="Bearer")).status_code == 401
    assert (await show(world, text, proof_for(text))).status_code == 401


async def test_the_metadata_says_which_algorithms(world: World) -> None:
    document = (await world.send(None, method="GET", path="/.well-known/oauth-protected-resource/mcp")).json()
    assert document["dpop_signing_alg_values_supported"] == ["EdDSA", "Ed25519", "ES256"]


def test_a_made_proof_shows_no_query_of_the_request() -> None:
    proof = make_proof(SigningKey.generate(), method="GET", url=f"{RESOURCE}?secret=1", now=NOW)
    assert b"secret" not in parse_compact(proof, carries_key=True).payload
