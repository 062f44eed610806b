"""RSA keys: what is taken, what is refused, and that nothing but JWTs takes them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from jwcrypto import jwk as independent
from jwcrypto import jws as independent_jws

from did_agent.encoding import base64url
from did_agent.errors import BadKey, BadSignature
from did_agent.keys import ecdsa, rsa
from did_agent.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from did_agent.proof.jose import parse_compact, sign_compact, verify_signature

KEY = rsa.SigningKey.generate()
JWK = public_jwk(KEY.public)


def test_what_it_signs_another_library_believes_and_the_other_way_round() -> None:
    other = independent.JWK(**JWK)
    token = independent_jws.JWS()
    token.deserialize(sign_compact({"typ": "at+jwt"}, {"a": 1}, KEY), other)
    assert token.payload == b'{"a":1}'
    theirs = independent.JWK.generate(kty="RSA", size=2048)
    made = independent_jws.JWS(b"{}")
    made.add_signature(theirs, protected='{"alg":"RS256"}')
    public = parse_public_jwk(theirs.export_public(as_dict=True), rsa_too=True)
    verify_signature(parse_compact(made.serialize(compact=True)), public)
    assert thumbprint(public) == theirs.thumbprint()


def test_a_key_is_the_same_through_every_form() -> None:
    assert parse_public_jwk(JWK, rsa_too=True) == KEY.public
    assert rsa.PublicKey.from_bytes(KEY.public.raw) == KEY.public
    assert rsa.SigningKey.from_secret(KEY.secret()).public == KEY.public


@pytest.mark.req("KEY-06")
def test_a_private_key_shows_nothing() -> None:
    assert repr(KEY) == "SigningKey(…)"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


@pytest.mark.req("TOK-01", "TOK-13")
@pytest.mark.parametrize(
    "changes",
    [
        {"e": "Aw"},
        {"e": "AAEAAQ"},
        {"n": base64url.encode(b"\0" + base64url.decode(str(JWK["n"])))},
        {"n": base64url.encode(b"\xff" * 128)},
        {"n": base64url.encode(b"\xff" * 1_024)},
        {"n": base64url.encode(b"\xff" * 255 + b"\xfe")},
        {"n": base64url.encode((3 * (2**2046 + 1)).to_bytes(256, "big"))},
        {"n": 5},
        {"d": "AQ"},
        {"alg": "PS256"},
        {"alg": "HS256"},
        {"use": "enc"},
        {"kty": "oct"},
    ],
    ids=range(13),
)
def test_degenerate_keys_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadKey):
        parse_public_jwk({**JWK, **changes}, rsa_too=True)


@pytest.mark.req("TOK-01")
def test_nothing_takes_an_rsa_key_unasked() -> None:
    with pytest.raises(BadKey):
        parse_public_jwk(JWK)


@pytest.mark.parametrize("raw", [b"", b"\x30", b"\x30\x00", KEY.public.raw + b"\0", KEY.public.raw[:-1]], ids=range(5))
def test_what_is_no_der_of_a_key_is_refused(raw: bytes) -> None:
    with pytest.raises(BadKey):
        rsa.PublicKey.from_bytes(raw)


@pytest.mark.parametrize("secret", [b"", b"\x30\x00", ecdsa.SigningKey.generate("P-256").secret()], ids=range(3))
def test_what_is_no_private_key_is_refused(secret: bytes) -> None:
    with pytest.raises(BadKey):
        rsa.SigningKey.from_secret(secret)


@pytest.mark.req("TOK-01")
def test_a_flipped_bit_or_another_key_does_not_verify() -> None:
    signature = KEY.sign(b"message")
    KEY.public.verify(b"message", signature)
    for other in (signature[:-1] + bytes([signature[-1] ^ 1]), signature[:-1], b""):
        with pytest.raises(BadSignature):
            KEY.public.verify(b"message", other)
    with pytest.raises(BadSignature):
        rsa.SigningKey.generate().public.verify(b"message", signature)
