"""vc+jwt, vp+jwt and VC-JWT 1.1: what honest ones say, and every way a dishonest one is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.credential.envelope import believe, read_secured
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import base64url
from did_agent.errors import (
    BadJOSE,
    BadSignature,
    DidAgentError,
    Expired,
    KeysUnavailable,
    NotYetValid,
    WrongAlgorithm,
    WrongIssuer,
    WrongType,
)
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import sign_compact
from did_agent.proof.vc_jose import enveloped, secure, verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
KEYS: dict[str, SigningKey] = {
    "EdDSA": ed25519.SigningKey.from_seed(b"1" * 32),
    "ES256": ecdsa.SigningKey("P-256", b"2" * 32),
    "ES384": ecdsa.SigningKey("P-384", b"3" * 48),
}
OTHER = ed25519.SigningKey.from_seed(b"4" * 32)


def method(key: SigningKey) -> str:
    return verification_method(did_key(key.public))


def credential(key: SigningKey) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential"],
        "issuer": did_key(key.public),
        "credentialSubject": {"id": "did:example:subject"},
    }


def token(key: SigningKey, **claims: Any) -> str:
    return secure(credential(key), key, envelope="vc+jwt", verification_method=method(key), claims=claims)


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_was_secured_comes_back(algorithm: str) -> None:
    key = KEYS[algorithm]
    verified = verify_secured(token(key, iat=SECONDS, exp=SECONDS + 60), envelope="vc+jwt", now=NOW)
    assert verified.document == credential(key)
    assert (verified.controller, verified.proof["alg"]) == (did_key(key.public), algorithm)


@pytest.mark.parametrize("algorithm", KEYS)
def test_the_enveloped_form_is_read_as_the_token_is(algorithm: str) -> None:
    text = token(KEYS[algorithm])
    for secured in (text, text.encode(), enveloped(text, "vc+jwt")):
        (verified,) = believe(read_secured(secured, "credential"), "credential", now=NOW)
        assert verified.document == credential(KEYS[algorithm])


@pytest.mark.req("TOK-01")
def test_every_algorithm_goes_with_its_own_key_alone() -> None:
    for signer in KEYS.values():
        for named in KEYS.values():
            forged = sign_compact({"typ": "vc+jwt", "kid": method(named)}, credential(named), signer)
            if signer is named:
                assert verify_secured(forged, envelope="vc+jwt", now=NOW).controller == did_key(named.public)
            else:
                with pytest.raises((WrongAlgorithm, BadSignature)):
                    verify_secured(forged, envelope="vc+jwt", now=NOW)


def forged(header: dict[str, Any], payload: dict[str, Any], key: SigningKey = KEYS["EdDSA"]) -> str:
    return sign_compact({"typ": "vc+jwt", "kid": method(key)} | header, payload, key)


HONEST = credential(KEYS["EdDSA"])
ATTACKS: dict[str, tuple[Callable[[], str], type[DidAgentError]]] = {
    "access token": (lambda: forged({"typ": "at+jwt"}, HONEST), WrongType),
    "presentation": (lambda: forged({"typ": "vp+jwt"}, HONEST), WrongType),
    "no typ": (lambda: forged({"typ": ""}, HONEST), WrongType),
    "other content": (lambda: forged({"cty": "vp"}, HONEST), WrongType),
    "kid of another": (lambda: forged({"kid": method(OTHER)}, HONEST), BadSignature),
    "kid without fragment": (lambda: forged({"kid": did_key(OTHER.public)}, HONEST), DidAgentError),
    "did:web not at hand": (lambda: forged({"kid": "did:web:example.com#1"}, HONEST), KeysUnavailable),
    "iss of another": (lambda: forged({}, HONEST | {"iss": did_key(OTHER.public)}), WrongIssuer),
    "iss of another in the header": (lambda: forged({"iss": did_key(OTHER.public)}, HONEST), WrongIssuer),
    "jti of another": (lambda: forged({}, HONEST | {"jti": "urn:uuid:2"}), BadJOSE),
    "sub of another": (lambda: forged({}, HONEST | {"sub": "did:example:other"}), BadJOSE),
    "claim vc": (lambda: forged({}, HONEST | {"vc": HONEST}), BadJOSE),
    "claim vp": (lambda: forged({}, HONEST | {"vp": {}}), BadJOSE),
    "expired": (lambda: forged({}, HONEST | {"exp": SECONDS - 31}), Expired),
    "not yet": (lambda: forged({}, HONEST | {"nbf": SECONDS + 31}), NotYetValid),
    "from the future": (lambda: forged({}, HONEST | {"iat": SECONDS + 31}), NotYetValid),
    "exp as text": (lambda: forged({}, HONEST | {"exp": str(SECONDS + 60)}), BadJOSE),
    "exp that is null": (lambda: forged({}, HONEST | {"exp": None}), BadJOSE),
    "exp as truth": (lambda: forged({}, HONEST | {"exp": True}), BadJOSE),
    "jwk in the header": (lambda: forged({"jwk": {"kty": "OKP"}}, HONEST), BadJOSE),
    "crit": (lambda: forged({"crit": []}, HONEST), BadJOSE),
}


@pytest.mark.req("TOK-01", "TOK-02", "TOK-04", "TOK-06", "TOK-08", "VCX-04")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_token_is_refused(attack: str) -> None:
    make, error = ATTACKS[attack]
    assert verify_secured(forged({}, HONEST), envelope="vc+jwt", now=NOW).document == HONEST
    with pytest.raises(error):
        verify_secured(make(), envelope="vc+jwt", now=NOW)


@pytest.mark.req("VCX-04")
def test_a_changed_payload_or_signature_is_refused() -> None:
    head, body, tail = token(KEYS["EdDSA"]).split(".")
    changed = base64url.encode(base64url.decode(body).replace(b"subject", b"sObject", 1))
    for text in (f"{head}.{changed}.{tail}", f"{head}.{body}.{base64url.encode(bytes(64))}", f"{head}.{body}.AAAA"):
        with pytest.raises(DidAgentError):
            verify_secured(text, envelope="vc+jwt", now=NOW)


def test_a_document_with_claims_of_its_own_is_not_secured() -> None:
    with pytest.raises(BadJOSE):
        secure(HONEST | {"exp": 1}, KEYS["EdDSA"], envelope="vc+jwt", verification_method=method(KEYS["EdDSA"]))


# ---- VC-JWT 1.1


def vc_jwt(key: SigningKey = KEYS["EdDSA"], header: dict[str, Any] | None = None, **changes: Any) -> str:
    document = {name: value for name, value in credential(key).items() if name not in ("id", "issuer")}
    payload = {"iss": did_key(key.public), "jti": credential(key)["id"], "nbf": SECONDS, "vc": document} | changes
    return sign_compact({"typ": "JWT", "kid": method(key)} | (header or {}), payload, key)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_members_that_claims_repeat_are_put_back(algorithm: str) -> None:
    key = KEYS[algorithm]
    verified = verify_vc_jwt(vc_jwt(key), claim="vc", now=NOW)
    assert verified.document == credential(key)
    assert verified.controller == did_key(key.public)


@pytest.mark.req("TOK-08", "VCX-04")
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: vc_jwt(iss=did_key(OTHER.public)), WrongIssuer),
        (lambda: vc_jwt(vc=credential(OTHER)), WrongIssuer),
        (lambda: vc_jwt(vc=credential(KEYS["EdDSA"]), jti="urn:uuid:2"), BadJOSE),
        (lambda: vc_jwt(header={"typ": "at+jwt"}), WrongType),
        (lambda: vc_jwt(vp={}), BadJOSE),
        (lambda: vc_jwt(vc="text"), BadJOSE),
        (lambda: vc_jwt(exp=SECONDS - 60), Expired),
        (lambda: vc_jwt(nbf=SECONDS + 60), NotYetValid),
        (lambda: vc_jwt(header={"kid": method(OTHER)}), BadSignature),
    ],
)
def test_a_forged_vc_jwt_is_refused(make: Callable[[], str], error: type[DidAgentError]) -> None:
    with pytest.raises(error):
        verify_vc_jwt(make(), claim="vc", now=NOW)


@pytest.mark.req("VCX-11")
def test_time_is_judged_with_half_a_minute_of_grace() -> None:
    text = token(KEYS["EdDSA"], iat=SECONDS, exp=SECONDS + 60)
    assert verify_secured(text, envelope="vc+jwt", now=NOW + timedelta(seconds=89)).document == HONEST
    with pytest.raises(Expired):
        verify_secured(text, envelope="vc+jwt", now=NOW + timedelta(seconds=90))
