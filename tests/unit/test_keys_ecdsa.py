"""P-256 and P-384 keys and signatures: every point checked at the door, every signature fixed in size."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from did_agent.encoding import base64url
from did_agent.errors import BadKey, BadSignature
from did_agent.keys.ecdsa import FIELD_BYTES, PublicKey, SigningKey
from did_agent.keys.jwk import parse_private_jwk, parse_public_jwk, private_jwk, public_jwk, thumbprint
from did_agent.keys.public import KeyKind

PRIME = {"P-256": 2**256 - 2**224 + 2**192 + 2**96 - 1, "P-384": 2**384 - 2**128 - 2**96 + 2**32 - 1}
ORDER = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
KINDS: tuple[KeyKind, ...] = ("P-256", "P-384")
# RFC 6979, A.2.5 and A.2.6: the secret, and the signatures over "sample" with the hash of the curve.
SAMPLE: dict[KeyKind, tuple[str, str]] = {
    "P-256": (
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    "P-384": (
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    ),
}


def key_of(kind: KeyKind) -> SigningKey:
    return SigningKey(kind, bytes.fromhex(SAMPLE[kind][0]))


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_are_those_of_rfc_6979(kind: KeyKind) -> None:
    key = key_of(kind)
    signature = key.sign(b"sample")
    assert signature.hex() == SAMPLE[kind][1]
    key.public.verify(b"sample", signature)
    assert (key.public.kind, len(key.public.raw)) == (kind, FIELD_BYTES[kind] + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_for_its_message_its_key_and_its_size(kind: KeyKind) -> None:
    key, size = key_of(kind), FIELD_BYTES[kind]
    signature = key.sign(b"message")
    r, s = signature[:size], signature[size:]
    order = ORDER[kind].to_bytes(size, "big")
    zero, full = bytes(size), b"\xff" * size
    for message, shown in (
        (b"massage", signature),
        (b"message", b""),
        (b"message", signature[:-1]),
        (b"message", signature + b"\x00"),
        (b"message", b"\x00" + signature),
        (b"message", s + r),
        (b"message", zero + zero),
        (b"message", zero + s),
        (b"message", r + zero),
        (b"message", order + s),
        (b"message", r + order),
        (b"message", full + full),
    ):
        with pytest.raises(BadSignature):
            key.public.verify(message, shown)
    with pytest.raises(BadSignature):
        SigningKey.generate(kind).public.verify(b"message", signature)
    key.public.verify(b"message", signature)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_has_a_twin_so_it_identifies_nothing(kind: KeyKind) -> None:
    key, size = key_of(kind), FIELD_BYTES[kind]
    signature = key.sign(b"message")
    twin = signature[:size] + (ORDER[kind] - int.from_bytes(signature[size:], "big")).to_bytes(size, "big")
    assert twin != signature
    key.public.verify(b"message", twin)


def test_a_signature_of_one_curve_says_nothing_to_the_other() -> None:
    small, large = key_of("P-256"), key_of("P-384")
    with pytest.raises(BadSignature):
        large.public.verify(b"m", small.sign(b"m"))
    with pytest.raises(BadSignature):
        small.public.verify(b"m", large.sign(b"m"))


def x_off_curve(kind: KeyKind) -> int:
    """Return the smallest coordinate that no point of the curve has."""
    prime = PRIME[kind]
    b = {
        "P-256": 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        "P-384": 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    }[kind]
    return next(x for x in range(100) if pow(x**3 - 3 * x + b, (prime - 1) // 2, prime) == prime - 1)


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize("kind", KINDS)
def test_only_compressed_points_of_the_curve_are_keys(kind: KeyKind) -> None:
    key, size = key_of(kind).public, FIELD_BYTES[kind]
    x, y = key.point
    off = x_off_curve(kind).to_bytes(size, "big")
    alias = next(
        candidate + PRIME[kind]
        for candidate in range(100)
        if candidate + PRIME[kind] < 2 ** (8 * size) and candidate != x_off_curve(kind) and _has_point(kind, candidate)
    ).to_bytes(size, "big")
    bad = (
        b"",
        b"\x00",
        b"\x00" + x,  # infinity, in a longer coat
        b"\x02" + x[:-1],
        b"\x02" + x + b"\x00",
        b"\x04" + x + y,
        b"\x06" + x + y,
        b"\x05" + x,
        b"\x82" + x,
        b"\x02" + off,
        b"\x03" + off,
        b"\x02" + alias,  # the same coordinate modulo the prime
        b"\x02" + PRIME[kind].to_bytes(size, "big"),
        b"\x02" + b"\xff" * size,
    )
    for raw in bad:
        with pytest.raises(BadKey):
            PublicKey.from_bytes(kind, raw)
    assert PublicKey.from_bytes(kind, key.raw) == key
    other = b"\x02" if key.raw[0] == 3 else b"\x03"
    assert PublicKey.from_bytes(kind, other + x) != key  # the mirrored point is another key


def _has_point(kind: KeyKind, x: int) -> bool:
    try:
        PublicKey.from_bytes(kind, b"\x02" + x.to_bytes(FIELD_BYTES[kind], "big"))
    except BadKey:
        return False
    return True


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize("kind", KINDS)
def test_coordinates_are_whole_reduced_and_on_the_curve(kind: KeyKind) -> None:
    key, size = key_of(kind).public, FIELD_BYTES[kind]
    x, y = key.point
    assert PublicKey.from_point(kind, x, y) == key
    flipped = y[:-1] + bytes([y[-1] ^ 1])
    for first, second in (
        (x, flipped),
        (y, x),
        (x[1:], y),
        (b"\x00" + x, y),
        (x, y + b"\x00"),
        (x, b""),
        (bytes(size), bytes(size)),
        (x, b"\xff" * size),
    ):
        with pytest.raises(BadKey):
            PublicKey.from_point(kind, first, second)


@pytest.mark.req("TOK-13")
def test_a_key_is_of_the_curve_it_says() -> None:
    small, large = key_of("P-256").public, key_of("P-384").public
    for kind, raw in (("P-384", small.raw), ("P-256", large.raw), ("Ed25519", small.raw[1:]), ("P-521", small.raw)):
        with pytest.raises(BadKey):
            PublicKey.from_bytes(kind, raw)  # type: ignore[arg-type]  # what a caller might be fooled into
        with pytest.raises(BadKey):
            PublicKey.from_point(kind, raw[1:33], raw[1:33])  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_a_number_below_the_order(kind: KeyKind) -> None:
    size = FIELD_BYTES[kind]
    for secret in (b"", b"\x01", bytes(size), ORDER[kind].to_bytes(size, "big"), b"\xff" * size, bytes(size) + b"\x01"):
        with pytest.raises(BadKey):
            SigningKey(kind, secret)
    largest = (ORDER[kind] - 1).to_bytes(size, "big")
    assert SigningKey(kind, largest).secret() == largest
    assert SigningKey.generate(kind).public != SigningKey.generate(kind).public
    with pytest.raises(BadKey):
        SigningKey.generate("Ed25519")


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_not_shown(kind: KeyKind) -> None:
    key = key_of(kind)
    assert key.secret().hex() not in repr(key) + str(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jwk_and_back(kind: KeyKind) -> None:
    key = key_of(kind)
    assert parse_public_jwk(public_jwk(key.public, "k1")) == key.public
    assert private_jwk(parse_private_jwk(private_jwk(key))) == private_jwk(key)
    assert thumbprint(key.public) == thumbprint(parse_public_jwk({**public_jwk(key.public), "kid": "x", "use": "sig"}))


@pytest.mark.req("TOK-01", "TOK-02", "TOK-13")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"crv": "P-521"},
        {"crv": "secp256k1"},
        {"crv": "p-256"},
        {"kty": "OKP"},
        {"kty": "RSA"},
        {"alg": "ES512"},
        {"alg": "EdDSA"},
        {"alg": "none"},
        {"use": "enc"},
        {"key_ops": ["deriveBits"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"y": None},
        {"y": ""},
        {"x": "AQ"},
        {"x": base64url.encode(b"\xff" * 32)},
        {"d": "AQ"},
        {"k": "AQ"},
    ],
)
def test_a_jwk_of_another_curve_use_or_with_a_secret_is_refused(kind: KeyKind, change: dict[str, Any]) -> None:
    good = {**public_jwk(key_of(kind).public), "key_ops": ["verify"]}
    assert parse_public_jwk(good).kind == kind
    with pytest.raises(BadKey):
        parse_public_jwk({**good, **change})


@pytest.mark.req("TOK-13")
def test_coordinates_of_one_curve_under_the_name_of_the_other_are_refused() -> None:
    small, large = public_jwk(key_of("P-256").public), public_jwk(key_of("P-384").public)
    for jwk in ({**small, "crv": "P-384"}, {**large, "crv": "P-256"}):
        with pytest.raises(BadKey):
            parse_public_jwk(jwk)


@pytest.mark.parametrize("kind", KINDS)
def test_the_halves_of_a_private_jwk_belong_together(kind: KeyKind) -> None:
    mine, other = private_jwk(key_of(kind)), private_jwk(SigningKey.generate(kind))
    for name in ("x", "y", "d"):
        with pytest.raises(BadKey):
            parse_private_jwk({**mine, name: other[name]})
    with pytest.raises(BadKey):
        parse_private_jwk({**mine, "d": "AA"})
