"""Key binding under attack: every rule of RFC 9901, 7.3, with the KB-JWT that keeps it and those that break it."""

from __future__ import annotations

import pytest

from did_agent.errors import (
    BadJOSE,
    BadKey,
    BadSignature,
    DidAgentError,
    Expired,
    HolderMismatch,
    NotYetValid,
    WrongAlgorithm,
    WrongAudience,
    WrongChallenge,
    WrongType,
)
from did_agent.keys.jwk import private_jwk, public_jwk
from did_agent.proof.jwt import SKEW
from did_agent.proof.sd_jwt import MAX_BINDING_AGE, KeyBinding
from tests.fakes.sd_jwts import (
    AUDIENCE,
    BINDING,
    CNF,
    ELEMENT,
    HOLDER,
    HONEST,
    ISSUER,
    NAME,
    NONCE,
    P256,
    PAYLOAD,
    SECONDS,
    SHOWN,
    THIEF,
    TYPE,
    bound,
    digest,
    disclosure,
    issued,
    refused,
    verify,
)

pytestmark = pytest.mark.req("VCX-15")

AGAIN = disclosure("other salt", "name", "Seller")

KB: dict[str, tuple[str, type[DidAgentError]]] = {
    "none": (HONEST, HolderMismatch),
    "by the issuer": (bound(HONEST, ISSUER), BadSignature),
    "by another key": (bound(HONEST, THIEF), BadSignature),
    "by a key of another kind": (bound(HONEST, P256), WrongAlgorithm),
    "typ JWT": (bound(HONEST, header={"typ": "JWT"}), WrongType),
    "typ of the token": (bound(HONEST, header={"typ": TYPE}), WrongType),
    "no typ": (bound(HONEST, header={"typ": ""}), WrongType),
    "alg none": (bound(HONEST, header={"alg": "none"}), WrongAlgorithm),
    "alg ES256": (bound(HONEST, header={"alg": "ES256"}), WrongAlgorithm),
    "a key of its own": (bound(HONEST, THIEF, header={"jwk": public_jwk(THIEF.public)}), BadJOSE),
    "crit": (bound(HONEST, header={"crit": ["x"], "x": 1}), BadJOSE),
    "another aud": (bound(HONEST, aud="https://other.example"), WrongAudience),
    "aud with a slash": (bound(HONEST, aud=f"{AUDIENCE}/"), WrongAudience),
    "aud as array": (bound(HONEST, aud=[AUDIENCE]), WrongAudience),
    "no aud": (bound(HONEST, aud=...), BadJOSE),
    "another nonce": (bound(HONEST, nonce="other"), WrongChallenge),
    "empty nonce": (bound(HONEST, nonce=""), WrongChallenge),
    "nonce as array": (bound(HONEST, nonce=[NONCE]), WrongChallenge),
    "no nonce": (bound(HONEST, nonce=...), BadJOSE),
    "sd_hash of nothing": (bound(HONEST, sd_hash=digest("")), BadSignature),
    "sd_hash without the last tilde": (bound(HONEST, sd_hash=digest(HONEST[:-1])), BadSignature),
    "sd_hash of the JWS alone": (bound(HONEST, sd_hash=digest(HONEST.split("~")[0])), BadSignature),
    "sd_hash padded": (bound(HONEST, sd_hash=digest(HONEST) + "="), BadSignature),
    "sd_hash as array": (bound(HONEST, sd_hash=[digest(HONEST)]), BadSignature),
    "no sd_hash": (bound(HONEST, sd_hash=...), BadJOSE),
    "no iat": (bound(HONEST, iat=...), BadJOSE),
    "iat as text": (bound(HONEST, iat=str(SECONDS)), BadJOSE),
    "iat true": (bound(HONEST, iat=True), BadJOSE),
    "iat too old": (bound(HONEST, iat=SECONDS - MAX_BINDING_AGE - SKEW - 1), Expired),
    "iat in the future": (bound(HONEST, iat=SECONDS + SKEW + 1), NotYetValid),
    "exp passed": (bound(HONEST, exp=SECONDS - SKEW), Expired),
    "nbf in the future": (bound(HONEST, nbf=SECONDS + SKEW + 1), NotYetValid),
    "for a token with more": (SHOWN.replace(f"~{ELEMENT}", ""), BadSignature),
    "for a token with less": (SHOWN.replace(f"~{ELEMENT}", f"~{ELEMENT}~{AGAIN}"), BadSignature),
    "for another order": (SHOWN.replace(f"{NAME}~{ELEMENT}", f"{ELEMENT}~{NAME}"), BadSignature),
    "for another token": (issued({**PAYLOAD, "x": 1}, NAME, ELEMENT) + SHOWN.split("~")[-1], BadSignature),
    "no cnf": (bound(issued({"x": 1})), HolderMismatch),
    "cnf by thumbprint": (bound(issued({"cnf": {"jkt": "x"}})), HolderMismatch),
    "cnf by link": (bound(issued({"cnf": {**CNF, "jku": "https://holder.example"}})), HolderMismatch),
    "cnf as text": (bound(issued({"cnf": "jwk"})), HolderMismatch),
    "cnf with a private key": (bound(issued({"cnf": {"jwk": private_jwk(HOLDER)}})), BadKey),
    "cnf with a symmetric key": (bound(issued({"cnf": {"jwk": {"kty": "oct", "k": "AAAA"}}})), BadKey),
}


@pytest.mark.parametrize(("text", "error"), KB.values(), ids=KB)
def test_a_broken_key_binding_is_refused(text: str, error: type[DidAgentError]) -> None:
    refused(error, text, BINDING)


@pytest.mark.parametrize(
    "text",
    [
        bound(HONEST, iat=SECONDS - MAX_BINDING_AGE - SKEW),
        bound(HONEST, iat=SECONDS + SKEW),
        bound(HONEST, exp=SECONDS + 1, nbf=SECONDS, jti="x"),
        bound(HONEST, header={"typ": "application/kb+jwt"}),
        bound(HONEST, header={"typ": "KB+JWT"}),
        bound(issued(PAYLOAD, ELEMENT)),
        bound(issued({**PAYLOAD, "cnf": {**CNF, "kid": "a name for it"}}, NAME)),
    ],
)
def test_a_key_binding_at_the_edge_passes(text: str) -> None:
    assert verify(text, BINDING).holder == HOLDER.public


@pytest.mark.req("VCX-01")
def test_a_presentation_for_one_verifier_or_nonce_is_of_no_use_elsewhere() -> None:
    refused(WrongAudience, SHOWN, KeyBinding(audience="https://other.example", nonce=NONCE))
    refused(WrongChallenge, SHOWN, KeyBinding(audience=AUDIENCE, nonce="the next nonce"))
