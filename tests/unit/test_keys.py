"""Ed25519 keys in their three forms: raw bytes, JWK and PEM."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from jwcrypto import jwk as independent

from did_agent.encoding import base64url
from did_agent.errors import BadKey, BadSignature
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.keys.jwk import parse_private_jwk, parse_public_jwk, private_jwk, public_jwk, thumbprint
from did_agent.keys.pem import private_key_pem

# RFC 8037, appendix A: the key of RFC 8032, section 7.1, test 1, and its thumbprint.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
KEY = SigningKey.from_seed(SEED)


def test_the_key_signs_as_rfc_8032_says() -> None:
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert KEY.public.raw == PUBLIC
    assert KEY.sign(b"") == signature
    KEY.public.verify(b"", signature)


def test_a_signature_is_for_its_message_its_key_and_its_length() -> None:
    signature = KEY.sign(b"message")
    KEY.public.verify(b"message", signature)
    for message, shown in ((b"massage", signature), (b"message", signature[:63]), (b"message", signature + b"\x00")):
        with pytest.raises(BadSignature):
            KEY.public.verify(message, shown)
    with pytest.raises(BadSignature):
        SigningKey.generate().public.verify(b"message", signature)


def test_a_seed_has_32_bytes() -> None:
    assert SigningKey.from_seed(SEED).seed() == SEED
    for seed in (b"", SEED[:31], SEED + b"\x00"):
        with pytest.raises(BadKey):
            SigningKey.from_seed(seed)


def test_two_generated_keys_differ() -> None:
    assert SigningKey.generate().public != SigningKey.generate().public


def test_a_jwk_says_what_rfc_8037_says() -> None:
    assert public_jwk(KEY.public) == {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(PUBLIC)}
    assert thumbprint(KEY.public) == THUMBPRINT
    assert parse_public_jwk(public_jwk(KEY.public, "k1")) == KEY.public
    assert parse_private_jwk(private_jwk(KEY)).seed() == SEED


@pytest.mark.req("TOK-01")
@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_a_jwk_may_name_the_algorithm_of_its_key(algorithm: str) -> None:
    assert parse_public_jwk({**public_jwk(KEY.public), "alg": algorithm, "use": "sig"}) == KEY.public


@pytest.mark.req("TOK-01", "TOK-02", "TOK-13")
@pytest.mark.parametrize(
    "change",
    [
        {"alg": "ES256"},
        {"alg": "HS256"},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"use": "enc"},
        {"use": None},
        {"kty": "EC"},
        {"kty": "oct"},
        {"crv": "X25519"},
        {"crv": "Ed448"},
        {"x": base64url.encode(PUBLIC) + "="},
        {"x": base64url.encode(PUBLIC[:31])},
        {"x": 1},
        {"d": base64url.encode(SEED)},
        {"k": "AA"},
        {"p": None},
    ],
)
def test_a_jwk_of_another_key_algorithm_or_use_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadKey):
        parse_public_jwk({**public_jwk(KEY.public), **change})


@pytest.mark.parametrize("value", [None, "", [], 1, {}])
def test_what_is_no_jwk_is_refused(value: object) -> None:
    for parse in (parse_public_jwk, parse_private_jwk):
        with pytest.raises(BadKey):
            parse(value)


def test_the_halves_of_a_private_jwk_belong_together() -> None:
    other = SigningKey.from_seed(b"2" * 32)
    for change in ({"x": base64url.encode(other.public.raw)}, {"d": base64url.encode(other.seed())}, {"d": "AA"}):
        with pytest.raises(BadKey):
            parse_private_jwk({**private_jwk(KEY), **change})


def test_an_independent_library_reads_the_pem() -> None:
    read = independent.JWK.from_pem(private_key_pem(KEY).encode())
    assert read.export(as_dict=True)["d"] == base64url.encode(SEED)
    assert read.thumbprint() == THUMBPRINT


@pytest.mark.req("TOK-13")
def test_every_small_order_point_is_refused() -> None:
    # The eight points of small order and their non-canonical twins (libsodium's own list).
    table = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    for text in table:
        raw = bytes.fromhex(text)
        for encoding in (raw, raw[:31] + bytes([raw[31] | 0x80])):
            with pytest.raises(BadKey):
                PublicKey.from_bytes(encoding)
    assert PublicKey.from_bytes(PUBLIC).raw == PUBLIC


@pytest.mark.req("KEY-06")
def test_a_private_key_shows_nothing() -> None:
    assert repr(KEY) == "SigningKey(…)"
    assert SEED.hex() not in f"{KEY!r} {KEY!s}"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
