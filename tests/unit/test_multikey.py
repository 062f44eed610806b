"""Multikey: the prefix says the kind, the kind the length, and one key has one text."""

from __future__ import annotations

import pytest
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError

from did_agent.encoding import multibase
from did_agent.errors import BadKey
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.multikey import (
    UNSUPPORTED_TYPE,
    WRONG_LENGTH,
    encode_multikey,
    encode_secret_multikey,
    encode_x25519,
    generate_key,
    is_x25519,
    multikey_bytes,
    parse_multikey,
    parse_multikey_bytes,
    parse_secret_multikey,
    parse_x25519,
    secret_bytes,
)
from did_agent.keys.public import KeyKind, SigningKey

KEYS: dict[KeyKind, SigningKey] = {
    "Ed25519": ed25519.SigningKey.from_seed(b"1" * 32),
    "P-256": ecdsa.SigningKey("P-256", b"1" * 32),
    "P-384": ecdsa.SigningKey("P-384", b"1" * 48),
}
PREFIXES = {"Ed25519": ("ed01", "z6Mk"), "P-256": ("8024", "zDn"), "P-384": ("8124", "z82")}
AGREEMENT = ed25519.to_x25519(ed25519.SigningKey.from_seed(b"1" * 32).public)


@pytest.mark.parametrize("kind", KEYS)
def test_a_multikey_begins_as_its_kind_does_and_comes_back(kind: KeyKind) -> None:
    public = KEYS[kind].public
    raw, text = PREFIXES[kind]
    assert multikey_bytes(public).startswith(bytes.fromhex(raw))
    assert encode_multikey(public).startswith(text)
    assert parse_multikey(encode_multikey(public)) == public
    assert parse_multikey_bytes(multikey_bytes(public)) == public
    assert generate_key(kind).public.kind == kind


@pytest.mark.parametrize("kind", KEYS)
def test_a_secret_multikey_comes_back_and_is_no_public_one(kind: KeyKind) -> None:
    text = encode_secret_multikey(KEYS[kind])
    assert secret_bytes(parse_secret_multikey(text)) == secret_bytes(KEYS[kind])
    with pytest.raises(BadKey, match=UNSUPPORTED_TYPE):
        parse_multikey(text)
    with pytest.raises(BadKey, match=UNSUPPORTED_TYPE):
        parse_secret_multikey(encode_multikey(KEYS[kind].public))


def test_a_secret_multikey_has_the_length_of_its_kind() -> None:
    for prefix, size in (("8026", 31), ("8026", 64), ("8626", 33), ("8726", 32), ("8626", 0)):
        with pytest.raises(BadKey):
            parse_secret_multikey(multibase.encode_base58btc(bytes.fromhex(prefix) + b"\x01" * size))


@pytest.mark.req("TOK-13", "VCX-12")
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_has_one_text(kind: KeyKind) -> None:
    public = KEYS[kind].public
    text = encode_multikey(public)
    raw = multikey_bytes(public)
    for bad in (
        "",
        "z",
        text[1:],
        text + "\n",
        " " + text,
        text.replace("z", "Z", 1),
        "z1" + text[1:],
        "z" + text[1:].replace(text[5], "0"),
        multibase.encode_base64url(raw),
        "m" + text[1:],
        "f" + raw.hex(),
        "z" * 300,
    ):
        with pytest.raises(BadKey):
            parse_multikey(bad)


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize("kind", KEYS)
def test_length_and_kind_are_told_apart(kind: KeyKind) -> None:
    raw = multikey_bytes(KEYS[kind].public)
    for wrong in (raw[:-1], raw + b"\x00", raw[:2]):
        with pytest.raises(BadKey) as refused:
            parse_multikey(multibase.encode_base58btc(wrong))
        assert refused.value.detail == WRONG_LENGTH
        with pytest.raises(BadKey):
            parse_multikey_bytes(wrong)
    # secp256k1, BLS12-381, SM2, RSA, P-521, and the same varint in a longer form
    for prefix in ("e701", "eb01", "8624", "8524", "8224", "ed8100", "01"):
        with pytest.raises(BadKey) as refused:
            parse_multikey(multibase.encode_base58btc(bytes.fromhex(prefix) + raw[2:]))
        assert refused.value.detail == UNSUPPORTED_TYPE


@pytest.mark.req("TOK-13")
def test_what_is_no_point_is_no_key() -> None:
    for raw in (
        b"\xed\x01" + b"\x01" + bytes(31),  # neutral element
        b"\xed\x01" + bytes(32),
        b"\xed\x01" + b"\x02" + bytes(31),  # off the curve
        b"\xed\x01" + b"\xff" * 32,
        b"\x80\x24\x04" + KEYS["P-256"].public.raw[1:],
        b"\x80\x24\x02" + b"\xff" * 32,
        b"\x81\x24\x03" + b"\xff" * 48,
        b"\x81\x24\x00" + bytes(48),
    ):
        with pytest.raises(BadKey) as refused:
            parse_multikey(multibase.encode_base58btc(raw))
        assert refused.value.detail not in (WRONG_LENGTH, UNSUPPORTED_TYPE)


def test_an_x25519_key_is_no_signature_key() -> None:
    text = encode_x25519(AGREEMENT)
    assert text.startswith("z6LS")
    assert parse_x25519(text) == AGREEMENT
    assert is_x25519(text)
    assert not is_x25519(encode_multikey(KEYS["Ed25519"].public))
    with pytest.raises(BadKey, match=UNSUPPORTED_TYPE):
        parse_multikey(text)
    with pytest.raises(BadKey, match=UNSUPPORTED_TYPE):
        parse_x25519(encode_multikey(KEYS["Ed25519"].public))


@pytest.mark.req("TOK-13", "VCX-12")
def test_agreement_keys_of_small_order_or_in_a_second_spelling_are_refused() -> None:
    field = 2**255 - 19
    small = (
        0,
        1,
        field - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
    for number in small:
        raw = number.to_bytes(32, "little")
        with pytest.raises((CryptoError, RuntimeError)):
            crypto_scalarmult(b"\x01" * 32, raw)  # an independent judge of what is of small order
        with pytest.raises(BadKey):
            parse_x25519(encode_x25519(raw))
    top = AGREEMENT[:31] + bytes([AGREEMENT[31] | 0x80])
    for raw in (top, field.to_bytes(32, "little"), (field + 9).to_bytes(32, "little"), b"\xff" * 32):
        with pytest.raises(BadKey):
            parse_x25519(encode_x25519(raw))
    for raw in (AGREEMENT[:31], AGREEMENT + b"\x00", b""):
        with pytest.raises(BadKey) as refused:
            parse_x25519(encode_x25519(raw))
        assert refused.value.detail == WRONG_LENGTH
    assert parse_x25519(encode_x25519((9).to_bytes(32, "little"))) == (9).to_bytes(32, "little")


class Elsewhere:
    """A key whose secret stays in its device."""

    public = KEYS["Ed25519"].public

    def sign(self, message: bytes) -> bytes:
        return KEYS["Ed25519"].sign(message)


def test_a_key_that_lives_elsewhere_shows_no_secret() -> None:
    with pytest.raises(BadKey):
        secret_bytes(Elsewhere())
