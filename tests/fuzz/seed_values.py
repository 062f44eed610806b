"""Seeds: texts, values, keys and identifiers."""

from __future__ import annotations

from typing import Any

from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import cbor, multibase
from did_agent.keys import jwk, multikey
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.selective import derive
from tests.fakes.credentials import ISSUER, root_document
from tests.fuzz.oracle import DID_WEB, NOW, P256, P384
from tests.fuzz.seed_tables import HEAVIEST, MADE, makes, text


@makes(MADE, "strict_json", "canonical_json")
def _() -> list[bytes]:
    return [
        *(text(value) for value in (root_document(), [1.5, -0.0, 1e21, 1e-7, 0.1, 2**53 - 1, None, True])),
        '{"\u20ac":"\\u00e9\\n","\U0001f600":"\\ud83d\\ude00","a":{"b":[[],{}]},"1":-0}'.encode(),
        b' {"a" : 1 , "a\\u0000" : 1E2 }\n',
    ]


@makes(HEAVIEST, "strict_json", "canonical_json")
def _() -> list[bytes]:
    return [
        b"[" * 131_072 + b"]" * 131_072,
        text([[[{str(name): 0 for name in range(250)}] * 4] * 9] * 3)[:262_144],
        text([["\U0001f600" * 10] * 900] * 6),
        text([[1.1, 5e-324, 1.7976931348623157e308] * 330] * 8)[:262_000],
        text(["\\u00e9" * 10_000] * 4),
        text({"a" * 65_000: {"\u00e9" * 30_000: 1}}),
        text([[0] * 1_000] * 120),
    ]


@makes(MADE, "multibase_text")
def _() -> list[bytes]:
    return [encode(raw).encode() for raw in (b"", b"\0\0a", b"x" * 64) for encode in
            (multibase.encode_base58btc, multibase.encode_base64url)]  # fmt: skip


@makes(HEAVIEST, "multibase_text")
def _() -> list[bytes]:
    return [b"z" + b"z" * 50_000, b"z" + b"z" * 1_999, b"z" + b"1" * 1_999, b"u" + b"_" * 262_144]


@makes(MADE, "cbor_item")
def _() -> list[bytes]:
    base = add_proof(root_document(), P256, purpose="assertionMethod", created=NOW, cryptosuite="ecdsa-sd-2023",
                     verification_method=verification_method(did_key(P256.public)))  # fmt: skip
    values = [proof["proof"]["proofValue"] for proof in (base, derive(base, ["/credentialSubject"]))]  # type: ignore[index]
    return [
        *(multibase.decode(value, max_chars=100_000)[3:] for value in values),
        cbor.encode({1: [b"x", "y", None, -1]}),
    ]


@makes(HEAVIEST, "cbor_item")
def _() -> list[bytes]:
    return [
        b"\x81" * 65_536,
        b"\x99\xff\xf0" + b"\x00" * 65_520,
        b"\x5b" + b"\xff" * 8,
        cbor.encode({i: i for i in range(12_000)}),
    ]


@makes(MADE, "timestamps")
def _() -> list[bytes]:
    return [
        b"2026-11-23T10:00:00Z",
        b"2026-11-23T10:00:00.123+05:30",
        b"1795428000",
        b"-0001-01-01T24:00:00Z",
        b"9999-12-31T23:59:59-14:00",
    ]


@makes(HEAVIEST, "timestamps")
def _() -> list[bytes]:
    return [b"2026-11-23T10:00:00." + b"1" * 200_000 + b"Z", b"9" * 200_000 + b"-11-23T10:00:00Z"]


@makes(MADE, "keys")
def _() -> list[bytes]:
    held = (ISSUER, P256, P384)
    return [
        *(multikey.encode_multikey(key.public).encode() for key in held),
        *(multikey.encode_secret_multikey(key).encode() for key in held),
        *(multikey.multikey_bytes(key.public) for key in held),
        *(text(jwk.public_jwk(key.public, "k")) for key in held),
        *(text(jwk.private_jwk(key)) for key in held),
        text({"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08", "use": "enc"}),
    ]


@makes(MADE, "did_url")
def _() -> list[bytes]:
    dids = [make(key.public) for key in (ISSUER, P256, P384) for make in (did_key, did_jwk)]
    webs = [
        "did:web:a.example",
        "did:web:localhost%3A8400:agents:1",
        DID_WEB + "#key-1",
        "did:web:a.example/p?service=x#y",
    ]
    return [did.encode() for did in [*dids, *webs, *(verification_method(did) for did in dids[::2]), dids[1] + "#0"]]


@makes(HEAVIEST, "did_url")
def _() -> list[bytes]:
    return [b"did:key:z" + b"z" * 50_000, b"did:web:" + b"a." * 100_000 + b"aa", b"did:web:a.example" + b":a" * 100_000,
            b"did:jwk:" + b"A" * 200_000, b"did:web:a.example/" + b"%41" * 60_000, b"did:web:" + b"a" * 250 + b"."]  # fmt: skip


@makes(MADE, "did_document")
def _() -> list[bytes]:
    return [text(_did_document(1)), text(_did_document(2) | {"authentication": [_method(3)], "service": [
        {"id": "#service", "type": "X", "serviceEndpoint": "https://a.example"}]})]  # fmt: skip


@makes(HEAVIEST, "did_document")
def _() -> list[bytes]:
    return [text(_did_document(32)), text(_did_document(1_000))]


def _method(number: int) -> dict[str, Any]:
    known: dict[str, Any] = {"id": f"#key-{number}", "controller": DID_WEB, "type": "Multikey"}
    if number % 3 == 2:
        return known | {"type": "JsonWebKey", "publicKeyJwk": jwk.public_jwk(P256.public)}
    return known | {
        "publicKeyMultibase": multikey.encode_multikey((P384 if number % 3 else ISSUER).public),
        "expires": "2027-01-01T00:00:00Z",
    }


def _did_document(count: int) -> dict[str, Any]:
    return {"@context": ["https://www.w3.org/ns/did/v1"], "id": DID_WEB, "verificationMethod": [_method(n) for n in range(1, count + 1)],
            "assertionMethod": [f"#key-{n}" for n in range(1, count + 1)], "authentication": ["#key-1"]}  # fmt: skip
