"""CBOR that costs more than it weighs, or reads in two ways: refused before anything is built of it."""

from __future__ import annotations

import pytest

from did_agent.encoding import cbor, multibase
from did_agent.errors import BadEncoding, BadProof
from did_agent.proof.selective_value import parse_base_value, parse_derived_value

BOMBS = {
    "a billion items announced": b"\x9a\x3b\x9a\xca\x00",
    "a map of 2^63 pairs": b"\xbb\x80" + bytes(7),
    "a string of 2^64 bytes": b"\x5b" + b"\xff" * 8,
    "deep nesting": b"\x81" * 60_000 + b"\x00",
    "deep nesting of maps": b"\xa1\x00" * 30_000 + b"\x00",
    "an endless array": b"\x9f\xff",
    "an endless string": b"\x5f\x41\x00\xff",
    "a tag": b"\xc2\x41\x01",
    "a big number by tag": b"\xc2\x59\xff\x00" + b"\x01" * 65_280,
    "a shared reference": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a float": b"\xf9\x7e\x00",
    "an undefined": b"\xf7",
    "a simple value in two bytes": b"\xf8\x20",
    "a long form of a number": b"\x18\x17",
    "a long form of a length": b"\x58\x01\x00",
    "keys out of order": b"\xa2\x01\x00\x00\x00",
    "a key twice": b"\xa2\x00\x00\x00\x01",
    "text that is not UTF-8": b"\x61\xff",
    "a reserved head": b"\x1c",
    "nothing": b"",
    "half a head": b"\x19\x01",
    "half a string": b"\x42\x00",
    "something after the end": b"\x00\x00",
    "more than the limit": b"\x5a\x00\x01\x00\x00" + bytes(65_536),
}


@pytest.mark.req("VCX-09")
@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS)
def test_cbor_bombs_are_refused(raw: bytes) -> None:
    with pytest.raises(BadEncoding):
        cbor.decode(raw)
    with pytest.raises(BadProof):
        parse_derived_value(multibase.encode_base64url(b"\xd9\x5d\x01" + raw))
    with pytest.raises(BadProof):
        parse_base_value(multibase.encode_base64url(b"\xd9\x5d\x00" + raw))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x17", 23),
        (b"\x18\x18", 24),
        (b"\x41\x00", b"\x00"),
        (b"\xa2\x00\x00\x01\x00", {0: 0, 1: 0}),
        (b"\x61a", "a"),
        (b"\x81" * 8 + b"\x00", [[[[[[[[0]]]]]]]]),
        (b"\x59\xff\xfd" + bytes(65_533), bytes(65_533)),
    ],
)
def test_their_harmless_twins_are_read(raw: bytes, value: object) -> None:
    assert cbor.decode(raw) == value
