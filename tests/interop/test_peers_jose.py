"""JWTs and SD-JWTs between us and jose, did-jwt-vc and @sd-jwt/sd-jwt-vc: verified both ways, refused once changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import base64url
from did_agent.errors import BadSignature, Expired, HolderMismatch, WrongAudience, WrongChallenge
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.jwk import private_jwk, public_jwk
from did_agent.keys.public import SigningKey
from did_agent.proof.sd_jwt import KeyBinding, confirmation, issue_sd_jwt, present, verify_sd_jwt
from did_agent.proof.vc_jose import secure, verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt
from tests.fakes.credentials import AUDIENCE, NOW, root_document
from tests.interop.peers import Peer, PeerRefusedError

ISSUERS: dict[str, SigningKey] = {
    "EdDSA": ed25519.SigningKey.from_seed(b"\x07" * 32),
    "ES256": ecdsa.SigningKey("P-256", b"\x07" * 32),
}
HOLDERS: dict[str, SigningKey] = {
    "EdDSA": ed25519.SigningKey.from_seed(b"\x08" * 32),
    "ES256": ecdsa.SigningKey("P-256", b"\x08" * 32),
}
NONCE = "n-7dQ2"
BINDING = KeyBinding(audience=AUDIENCE, nonce=NONCE)
SECONDS = numeric_date(NOW)
SD_TYPE = "dc+sd-jwt"
both_algorithms = pytest.mark.parametrize("alg", ["EdDSA", "ES256"])


def document(key: SigningKey) -> dict[str, Any]:
    return root_document() | {"issuer": did_key(key.public)}


def with_claim(token: str, name: str, value: object) -> str:
    """Return the JWT with one claim changed, under the signature that it had."""
    head, body, *tail = token.split(".", 2)
    claims = json.loads(base64url.decode(body)) | {name: value}
    return ".".join([head, base64url.encode(json.dumps(claims).encode()), *tail])


# ---- vc+jwt: the data model 2.0


@both_algorithms
def test_jose_verifies_our_vc_jwt_and_refuses_a_changed_one(jose: Peer, alg: str) -> None:
    key = ISSUERS[alg]
    made = document(key)
    token = secure(made, key, envelope="vc+jwt", verification_method=verification_method(did_key(key.public)))
    asked = {"jwk": public_jwk(key.public), "alg": alg, "typ": "vc+jwt", "now": SECONDS * 1_000}
    assert jose.ask("verify", token=token, **asked) == made
    with pytest.raises(PeerRefusedError, match="signature verification failed"):
        jose.ask("verify", token=with_claim(token, "validUntil", "2099-01-01T00:00:00Z"), **asked)
    with pytest.raises(PeerRefusedError, match="typ"):
        jose.ask("verify", token=token, **(asked | {"typ": "vp+jwt"}))


@both_algorithms
def test_we_verify_joses_vc_jwt_and_refuse_a_changed_one(jose: Peer, alg: str) -> None:
    key = ISSUERS[alg]
    made = document(key)
    header = {"alg": alg, "typ": "vc+jwt", "cty": "vc", "kid": verification_method(did_key(key.public))}
    token = jose.ask("sign", payload=made, header=header, jwk=private_jwk(key))
    verified = verify_secured(token, envelope="vc+jwt", now=NOW)
    assert (verified.document, verified.controller) == (made, made["issuer"])
    with pytest.raises(BadSignature):
        verify_secured(with_claim(token, "validUntil", "2099-01-01T00:00:00Z"), envelope="vc+jwt", now=NOW)


# ---- VC-JWT: the data model 1.1, which we read and never issue


@both_algorithms
def test_we_verify_did_jwt_vcs_credential_and_refuse_a_changed_one(jose: Peer, alg: str) -> None:
    key, subject = ISSUERS[alg], did_key(HOLDERS[alg].public)
    claims = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiableCredential"],
        "credentialSubject": {"degree": "none"},
    }
    payload = {"sub": subject, "nbf": SECONDS - 60, "exp": SECONDS + 3_600, "vc": claims}
    token = jose.ask("issueOld", payload=payload, **_party(key))
    verified = verify_vc_jwt(token, claim="vc", now=NOW)
    assert verified.controller == did_key(key.public)
    assert verified.document["type"] == ["VerifiableCredential"]
    with pytest.raises(BadSignature):
        verify_vc_jwt(with_claim(token, "exp", SECONDS + 7_200), claim="vc", now=NOW)


@both_algorithms
def test_we_verify_did_jwt_vcs_presentation_and_refuse_a_changed_one(jose: Peer, alg: str) -> None:
    key = HOLDERS[alg]
    claims = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": [],
    }
    asked = {"domain": AUDIENCE, "challenge": NONCE}
    token = jose.ask("presentOld", payload={"nbf": SECONDS, "vp": claims}, **asked, **_party(key))
    verified = verify_vc_jwt(token, claim="vp", now=NOW)
    assert verified.controller == did_key(key.public)
    assert verified.proof["nonce"] == NONCE
    with pytest.raises(BadSignature):
        verify_vc_jwt(with_claim(token, "nonce", "another"), claim="vp", now=NOW)


# ---- SD-JWT with key binding


@both_algorithms
def test_the_peer_verifies_our_sd_jwt_and_refuses_other_keys_nonces_and_disclosures(sd_jwt: Peer, alg: str) -> None:
    issuer, holder = ISSUERS[alg], HOLDERS[alg]
    issued = issue_sd_jwt(_claims(holder), disclosable=["/given_name", "/family_name"], key=issuer, typ=SD_TYPE)
    shown = present(issued, disclose=["/given_name"], holder_key=holder, audience=AUDIENCE, nonce=NONCE, now=NOW)
    asked = {"issuer": public_jwk(issuer.public), "nonce": NONCE, "now": SECONDS}
    answer = sd_jwt.ask("verify", token=shown, **asked)
    assert answer["audience"] == AUDIENCE
    assert answer["claims"]["given_name"] == "Ada"
    assert "family_name" not in answer["claims"]
    jws, _, binding = shown.split("~")
    with pytest.raises(PeerRefusedError, match="Invalid JWT Signature"):
        sd_jwt.ask("verify", token=shown, **(asked | {"issuer": public_jwk(holder.public)}))
    with pytest.raises(PeerRefusedError, match="Invalid Nonce"):
        sd_jwt.ask("verify", token=shown, **(asked | {"nonce": "another"}))
    with pytest.raises(PeerRefusedError, match="Invalid sd_hash"):
        sd_jwt.ask("verify", token=f"{jws}~{binding}", **asked)
    with pytest.raises(PeerRefusedError, match="Invalid JWT Signature"):
        sd_jwt.ask("verify", token=with_claim(shown, "exp", SECONDS + 7_200), **asked)
    with pytest.raises(PeerRefusedError, match="expired"):
        sd_jwt.ask("verify", token=shown, **(asked | {"now": SECONDS + 7_200}))


@both_algorithms
def test_we_verify_the_peers_sd_jwt_and_refuse_other_keys_nonces_and_disclosures(sd_jwt: Peer, alg: str) -> None:
    issuer, holder = ISSUERS[alg], HOLDERS[alg]
    issued = sd_jwt.ask(
        "issue", claims=_claims(holder), hidden=["given_name", "family_name"], issuer=private_jwk(issuer), header={}
    )
    binding = {"iat": SECONDS, "aud": AUDIENCE, "nonce": NONCE}
    shown = sd_jwt.ask("present", token=issued, shown=["given_name"], binding=binding, holder=private_jwk(holder))

    def verified(token: str, expected: KeyBinding = BINDING, key: SigningKey = issuer, now: Any = NOW) -> Any:
        return verify_sd_jwt(
            token,
            expected_types=frozenset({SD_TYPE}),
            find_key=lambda _header, _claims: key.public,
            key_binding=expected,
            now=now,
        )

    believed = verified(shown)
    assert believed.claims["given_name"] == "Ada"
    assert believed.disclosed == {"/given_name"}
    assert public_jwk(believed.holder) == public_jwk(holder.public)
    jws, _, proof = shown.split("~")
    with pytest.raises(BadSignature):
        verified(f"{jws}~{proof}")
    with pytest.raises(BadSignature):
        verified(with_claim(shown, "exp", SECONDS + 7_200))
    with pytest.raises(BadSignature):
        verified(shown, key=holder)
    with pytest.raises(WrongChallenge):
        verified(shown, KeyBinding(audience=AUDIENCE, nonce="another"))
    with pytest.raises(WrongAudience):
        verified(shown, KeyBinding(audience="https://other.example", nonce=NONCE))
    with pytest.raises(HolderMismatch):
        verified(issued)
    with pytest.raises(Expired):
        verified(shown, now=NOW.replace(year=NOW.year + 1))


def _claims(holder: SigningKey) -> dict[str, Any]:
    return {
        "vct": "https://credentials.example/agent",
        "iss": "https://issuer.example",
        "iat": SECONDS - 60,
        "exp": SECONDS + 3_600,
        "cnf": confirmation(holder.public),
        "given_name": "Ada",
        "family_name": "Lovelace",
    }


def _party(key: SigningKey) -> dict[str, Any]:
    return {"did": did_key(key.public), "jwk": private_jwk(key)}
