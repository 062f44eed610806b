"""Where fuzzing starts: honest inputs made by our own issuing code, and the heaviest inputs that stay within bounds."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from did_agent.credential import bitstring
from did_agent.credential.sd_jwt_vc import issue_sd_jwt_vc
from did_agent.credential.token_status import TokenStatusReference, encode_statuses, issue_status_list_token
from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import cbor, multibase
from did_agent.encoding.jsonld import canonical_nquads
from did_agent.keys import jwk, multikey
from did_agent.presentation.present import present, present_jwt
from did_agent.proof.data_integrity import add_proof, extend_proofs
from did_agent.proof.jwt import sign_jwt
from did_agent.proof.selective import derive
from did_agent.proof.vc_jose import enveloped
from did_agent.proof.vc_jose import secure as secure_jose
from tests.fakes import sd_jwts
from tests.fakes.credentials import ISSUER, ISSUER_DID, REVOCATION_URL, chain_of_two, root, root_document, status_list
from tests.fakes.presentations import shown, shown_jwt
from tests.fuzz.targets import DID_WEB, NOW, P256, P384

CORPUS: Final = Path(__file__).with_name("corpus")
MADE: Final[dict[str, Callable[[], list[bytes]]]] = {}
HEAVIEST: Final[dict[str, Callable[[], list[bytes]]]] = {}
SECONDS: Final = 1_795_428_000  # a little before NOW


def seeds(name: str) -> list[bytes]:
    """Return valid inputs of a target, and what once made it fail."""
    return MADE[name]() + regressions(name)


def heaviest(name: str) -> list[bytes]:
    """Return inputs at the bounds: as large, deep and repetitive as a reader lets them be."""
    return HEAVIEST.get(name, list)()


def regressions(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _makes(table: dict[str, Callable[[], list[bytes]]], *names: str) -> Callable[[Callable[[], list[bytes]]], None]:
    def place(make: Callable[[], list[bytes]]) -> None:
        table.update(dict.fromkeys(names, make))

    return place


# ---- values


@_makes(MADE, "strict_json", "canonical_json")
def _() -> list[bytes]:
    return [
        *(text(value) for value in (root_document(), [1.5, -0.0, 1e21, 1e-7, 0.1, 2**53 - 1, None, True])),
        '{"\u20ac":"\\u00e9\\n","\U0001f600":"\\ud83d\\ude00","a":{"b":[[],{}]},"1":-0}'.encode(),
        b' {"a" : 1 , "a\\u0000" : 1E2 }\n',
    ]


@_makes(HEAVIEST, "strict_json", "canonical_json")
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


@_makes(MADE, "multibase_text")
def _() -> list[bytes]:
    return [encode(raw).encode() for raw in (b"", b"\0\0a", b"x" * 64) for encode in
            (multibase.encode_base58btc, multibase.encode_base64url)]  # fmt: skip


@_makes(HEAVIEST, "multibase_text")
def _() -> list[bytes]:
    return [b"z" + b"z" * 50_000, b"z" + b"z" * 1_999, b"z" + b"1" * 1_999, b"u" + b"_" * 262_144]


@_makes(MADE, "cbor_item")
def _() -> list[bytes]:
    base = add_proof(root_document(), P256, purpose="assertionMethod", created=NOW, cryptosuite="ecdsa-sd-2023",
                     verification_method=verification_method(did_key(P256.public)))  # fmt: skip
    values = [proof["proof"]["proofValue"] for proof in (base, derive(base, ["/credentialSubject"]))]  # type: ignore[index]
    return [
        *(multibase.decode(value, max_chars=100_000)[3:] for value in values),
        cbor.encode({1: [b"x", "y", None, -1]}),
    ]


@_makes(HEAVIEST, "cbor_item")
def _() -> list[bytes]:
    return [
        b"\x81" * 65_536,
        b"\x99\xff\xf0" + b"\x00" * 65_520,
        b"\x5b" + b"\xff" * 8,
        cbor.encode({i: i for i in range(12_000)}),
    ]


@_makes(MADE, "timestamps")
def _() -> list[bytes]:
    return [
        b"2026-11-23T10:00:00Z",
        b"2026-11-23T10:00:00.123+05:30",
        b"1795428000",
        b"-0001-01-01T24:00:00Z",
        b"9999-12-31T23:59:59-14:00",
    ]


@_makes(HEAVIEST, "timestamps")
def _() -> list[bytes]:
    return [b"2026-11-23T10:00:00." + b"1" * 200_000 + b"Z", b"9" * 200_000 + b"-11-23T10:00:00Z"]


# ---- keys and identifiers


@_makes(MADE, "keys")
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


@_makes(MADE, "did_url")
def _() -> list[bytes]:
    dids = [make(key.public) for key in (ISSUER, P256, P384) for make in (did_key, did_jwk)]
    webs = [
        "did:web:a.example",
        "did:web:localhost%3A8400:agents:1",
        DID_WEB + "#key-1",
        "did:web:a.example/p?service=x#y",
    ]
    return [did.encode() for did in [*dids, *webs, *(verification_method(did) for did in dids[::2]), dids[1] + "#0"]]


@_makes(HEAVIEST, "did_url")
def _() -> list[bytes]:
    return [b"did:key:z" + b"z" * 50_000, b"did:web:" + b"a." * 100_000 + b"aa", b"did:web:a.example" + b":a" * 100_000,
            b"did:jwk:" + b"A" * 200_000, b"did:web:a.example/" + b"%41" * 60_000, b"did:web:" + b"a" * 250 + b"."]  # fmt: skip


@_makes(MADE, "did_document")
def _() -> list[bytes]:
    return [text(_did_document(1)), text(_did_document(2) | {"authentication": [_method(3)], "service": [
        {"id": "#service", "type": "X", "serviceEndpoint": "https://a.example"}]})]  # fmt: skip


@_makes(HEAVIEST, "did_document")
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


# ---- tokens


@_makes(MADE, "compact_jws")
def _() -> list[bytes]:
    claims = {"iss": ISSUER_DID, "aud": "a", "iat": SECONDS, "exp": SECONDS + 60, "jti": "j"}
    token = sign_jwt(claims, typ="at+jwt", key=ISSUER, kid="k")
    document = root_document()
    joses = [secure_jose(document, key, envelope="vc+jwt", verification_method=verification_method(did_key(key.public)))
             for key in (ISSUER, P256)]  # fmt: skip
    header = {"alg": "EdDSA", "kid": verification_method(ISSUER_DID)}
    return [
        *(one.encode() for one in (token, *joses)),
        b"\n".join(map(text, ({"alg": "EdDSA", "typ": "at+jwt"}, claims))),
        b"\n".join(map(text, (header | {"typ": "vc+jwt", "cty": "vc"}, document | {"iat": SECONDS, "nbf": SECONDS}))),
        b"\n".join(map(text, (header | {"typ": "JWT"}, claims | {"vc": document, "jti": document["id"]}))),
    ]


@_makes(HEAVIEST, "compact_jws")
def _() -> list[bytes]:
    head = text({"alg": "EdDSA", "typ": "vc+jwt", "kid": verification_method(ISSUER_DID)})
    return [b"." * 262_144, b"a" * 262_144, b"a" * 8_000 + b"." + b"a" * 250_000 + b".a", head + b"\n" + _deep(190_000)]


def _deep(size: int) -> bytes:
    return b'{"a":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}"


@_makes(MADE, "sd_jwt")
def _() -> list[bytes]:
    held = issue_sd_jwt_vc(
        {"name": "x", "tools": ["a", "b"]}, vct="https://types.example/1", key=ISSUER, verification_method=verification_method(ISSUER_DID),
        holder=sd_jwts.HOLDER.public, issued_at=NOW, expires=NOW + timedelta(hours=8), disclosable=["/name", "/tools/0"],
        status=TokenStatusReference(index=1, uri=REVOCATION_URL),
    )  # fmt: skip
    claims = {"iss": ISSUER_DID, "vct": "https://types.example/1", "cnf": sd_jwts.CNF, "iat": SECONDS, "exp": SECONDS + 90_000,
              "_sd": ["$1"], "_sd_alg": "sha-256", "tools": [{"...": "$2"}, "x"]}  # fmt: skip
    shown = [["s", "name", {"_sd": ["$3"]}], ["s", "order"], ["s", "inner", 1]]
    binding = {"iat": sd_jwts.SECONDS, "aud": sd_jwts.AUDIENCE, "nonce": sd_jwts.NONCE, "sd_hash": "$hash"}
    kid = {"kid": verification_method(ISSUER_DID)}
    return [
        sd_jwts.HONEST.encode(), sd_jwts.SHOWN.encode(), held.encode(),
        *(b"\n".join([*map(text, ({"alg": "EdDSA", "typ": typ} | more, claims, *shown)), b"!" + text(binding)])
          for typ, more in ((sd_jwts.TYPE, {}), ("dc+sd-jwt", kid))),
    ]  # fmt: skip


@_makes(HEAVIEST, "sd_jwt")
def _() -> list[bytes]:
    many = sd_jwts.issued({"_sd": [sd_jwts.digest(sd_jwts.disclosure("s", f"n{n}", n)) for n in range(250)], "cnf": sd_jwts.CNF},
                          *(sd_jwts.disclosure("s", f"n{n}", n) for n in range(250)))  # fmt: skip
    nested, place = [], sd_jwts.disclosure("s", "x")
    for _number in range(250):
        nested.append(place)
        place = sd_jwts.disclosure("s", [{"...": sd_jwts.digest(place)}])
    deep = sd_jwts.issued({"a": [{"...": sd_jwts.digest(nested[-1])}], "cnf": sd_jwts.CNF}, *nested)
    return [many.encode(), deep.encode(), b"~" * 65_536, b"a" * 65_536, b"W10~" * 250]


@_makes(MADE, "token_status_list")
def _() -> list[bytes]:
    token = issue_status_list_token(uri=REVOCATION_URL, statuses=bytes(64), bits=2, key=ISSUER, issued_at=NOW,
                                    expires=NOW + timedelta(hours=1), ttl=60)  # fmt: skip
    claims = {
        "sub": REVOCATION_URL,
        "iat": SECONDS,
        "exp": SECONDS + 4_000,
        "ttl": 60,
        "status_list": {"bits": 2, "lst": encode_statuses(bytes(64))},
    }
    return [token.encode(), text({"alg": "EdDSA", "typ": "statuslist+jwt"}) + b"\n" + text(claims), encode_statuses(b"\1" * 64).encode(),
            zlib.compress(bytes(64)), text({"status": {"status_list": {"idx": 1, "uri": REVOCATION_URL}}})]  # fmt: skip


@_makes(HEAVIEST, "token_status_list")
def _() -> list[bytes]:
    bomb = zlib.compress(bytes(bitstring.MAX_LIST_BYTES), 9)
    claims = {
        "sub": REVOCATION_URL,
        "iat": SECONDS,
        "status_list": {"bits": 1, "lst": encode_statuses(bytes(bitstring.MAX_LIST_BYTES))},
    }
    return [bomb, zlib.compress(bytes(4 * bitstring.MAX_LIST_BYTES), 9), os.urandom(40_000),
            text({"alg": "EdDSA", "typ": "statuslist+jwt"}) + b"\n" + text(claims)]  # fmt: skip


# ---- documents


@_makes(MADE, "nquads")
def _() -> list[bytes]:
    ring = "".join(f"_:b{n} <urn:p> _:b{(n + 1) % 3} _:g .\n" for n in range(3))
    return [
        canonical_nquads(root_document()),
        ring.encode(),
        b'<urn:a> <urn:p> "x\\u00e9\\n"@en-GB <urn:g> . # c\n_:a <urn:p> "1"^^<urn:t> .\n',
    ]


@_makes(HEAVIEST, "nquads")
def _() -> list[bytes]:
    clique = "".join(f"_:b{a} <urn:p> _:b{b} .\n" for a in range(3) for b in range(3) if a != b)
    web = "".join(f"_:b{a} <urn:p{a}> _:b{b} .\n" for a in range(32) for b in range(32))
    alike = "".join(
        f"_:b{a} <urn:p{a // 3}> _:b{(a + 3) % 30} .\n_:b{a} <urn:q> _:b{(a + 1) % 30} .\n" for a in range(30)
    )
    plain = "".join(f'<urn:s{n}> <urn:p> "x" .\n' for n in range(2_000))
    blank = b"_:" + b"a." * 30_000 + b" <urn:p> <urn:o> ."
    return [
        clique.encode(),
        web.encode(),
        alike.encode(),
        plain.encode(),
        blank,
        b'<urn:a> <urn:p> "' + b"\\" * 60_000,
        b" " * 60_000 + b"x",
    ]


@_makes(MADE, "json_ld")
def _() -> list[bytes]:
    more = {"@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"], "name": "\u00e9",
            "type": ["VerifiableCredential", "X"], "evidence": [{"type": "Y", "z": 1.5, "w": True}, {"id": "urn:x", "type": "Y"}]}  # fmt: skip
    return [text(root_document()), text(shown()), text(more)]


@_makes(HEAVIEST, "json_ld", "data_integrity", "credential")
def _() -> list[bytes]:
    head = {"@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
            "type": ["VerifiableCredential"], "issuer": ISSUER_DID}  # fmt: skip
    subjects = {"credentialSubject": [{"type": "X", "a": str(n), "b": n} for n in range(300)]}
    named = {"credentialSubject": [{"id": f"urn:x:{n}", "a": str(n)} for n in range(900)]}
    alike = {"credentialSubject": [{"a": {"b": {"c": 1}}} for _ in range(30)]}
    deep: Any = "x"
    for _number in range(28):
        deep = {"a": deep}
    contexts = {"@context": [head["@context"][0], *(["https://www.w3.org/ns/did/v1.1"] * 900)]}
    wide = {"credentialSubject": [{f"m{n}": "x" for n in range(30)} for _ in range(1_000)]}
    nested = {"credentialSubject": [{f"m{n}": {} for n in range(30)} for _ in range(500)]}
    arrays = {"credentialSubject": {f"m{n}": ["x"] * 240 for n in range(250)}}
    kinds = (subjects, named, alike, {"credentialSubject": deep}, contexts, wide, nested, arrays)
    documents = [head | one for one in kinds]
    return [text(one if bare else one | {"proof": _PROOF}) for one in documents for bare in (True, False)]


_PROOF: Final = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022", "created": "2026-11-23T10:00:00Z",
                 "verificationMethod": verification_method(ISSUER_DID), "proofPurpose": "assertionMethod", "proofValue": "z" * 88}  # fmt: skip


@_makes(MADE, "data_integrity")
def _() -> list[bytes]:
    plain, made = root_document(), []
    for suite, key in (("eddsa-jcs-2022", ISSUER), ("eddsa-rdfc-2022", ISSUER), ("ecdsa-jcs-2019", P256), ("ecdsa-rdfc-2019", P384),
                       ("ecdsa-sd-2023", P256)):  # fmt: skip
        method = verification_method(did_key(key.public))
        made.append(
            add_proof(plain, key, purpose="assertionMethod", created=NOW, verification_method=method, cryptosuite=suite)
        )
    made.append(derive(made[-1], ["/credentialSubject/capability"]))
    method = verification_method(ISSUER_DID)
    chained = extend_proofs(
        plain, ISSUER, purpose="assertionMethod", created=NOW, verification_method=method, id="urn:p:1"
    )
    made.append(
        extend_proofs(
            chained, ISSUER, purpose="assertionMethod", created=NOW, verification_method=method, previous=["urn:p:1"]
        )
    )
    return [text(one) for one in (*made, shown())]


@_makes(MADE, "bitstring_status_list")
def _() -> list[bytes]:
    listed, entry = status_list("revocation", set_bits=[3]), root_document()["credentialStatus"][0]
    more = entry | {"statusSize": 2, "statusPurpose": "message", "statusReference": "https://a.example",
                    "statusMessage": [{"status": hex(n), "message": "m"} for n in range(4)]}  # fmt: skip
    bits = bytes(bitstring.MIN_LIST_BYTES)
    return [
        text({"entry": entry, "list": listed}),
        text({"entry": more, "list": listed}),
        bitstring.encode(bits).encode(),
        gzip.compress(b"x", mtime=0),
    ]


@_makes(HEAVIEST, "bitstring_status_list")
def _() -> list[bytes]:
    entry = root_document()["credentialStatus"][0]
    listed = status_list("revocation")
    most = bitstring.encode(bytes(bitstring.MAX_LIST_BYTES))
    large = listed | {"credentialSubject": listed["credentialSubject"] | {"encodedList": most}}
    return [
        gzip.compress(bytes(4 * bitstring.MAX_LIST_BYTES), mtime=0),
        most.encode(),
        text({"entry": entry, "list": large}),
        os.urandom(60_000),
    ]


@_makes(MADE, "capability_credential")
def _() -> list[bytes]:
    return [text(document) for document in (root(), chain_of_two()[0], root_document())]


@_makes(HEAVIEST, "capability_credential")
def _() -> list[bytes]:
    document = root_document()
    held = document["credentialSubject"]["capability"]
    held[0]["tools"] = {f"tool{n}": {"a": {"constraint_type": "one_of", "values": list(range(64))}} for n in range(250)}
    return [text(document), text(document | {"credentialStatus": [document["credentialStatus"][0]] * 1_000})]


@_makes(MADE, "constraints")
def _() -> list[bytes]:
    kinds: list[Any] = [
        {"constraint_type": "one_of", "values": ["/a", 1, True, [1]]},
        {"constraint_type": "exact", "value": 1},
        {"constraint_type": "not_one_of", "excluded": ["x"]},
        {"constraint_type": "range", "min": 1, "max": 50.5, "min_inclusive": False},
        {"constraint_type": "contains", "required": [1]},
        {"constraint_type": "subset", "allowed": [1, "a"]},
        {"constraint_type": "wildcard"},
        {"constraint_type": "prefix", "prefix": "/a"},
        {"constraint_type": "path", "root": "/a/b"},
        {"constraint_type": "url", "scheme": "https", "host": "a.example", "path_prefix": "/x"},
        {"constraint_type": "max_length", "value": 9},
    ]
    joined = [
        {"constraint_type": kind, "constraints": kinds[start : start + 4]}
        for kind in ("all", "any")
        for start in (0, 4, 7)
    ]
    values: list[Any] = [1, "/a/b/c", "https://a.example/x/y", [1, "a"], None]
    return [
        text([one, other, values[number % len(values)]])
        for number, one in enumerate([*kinds, *joined])
        for other in (one, kinds[number % len(kinds)], joined[number % len(joined)])
    ]


@_makes(HEAVIEST, "constraints")
def _() -> list[bytes]:
    listed = {"constraint_type": "one_of", "values": [str(n) for n in range(256)]}
    joined = [{"constraint_type": kind, "constraints": [listed] * 16} for kind in ("all", "any")]
    mixed = {"constraint_type": "all", "constraints": [{"constraint_type": "any", "constraints": [listed] * 15}] * 3}
    return [text([one, other, "x"]) for one in (*joined, mixed) for other in (*joined, mixed)]


@_makes(MADE, "credential")
def _() -> list[bytes]:
    token = secure_jose(root_document(), ISSUER, envelope="vc+jwt", verification_method=verification_method(ISSUER_DID))
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {"type": "string", "format": "uri", "maxLength": 9}},
              "properties": {"name": {"$ref": "#/$defs/a"}, "n": {"multipleOf": 0.1, "enum": [1], "uniqueItems": True}}}  # fmt: skip
    named = {"id": "https://a.example/s", "type": "JsonSchema"}
    listed = status_list("revocation")
    return [text(root()), token.encode(), text(enveloped(token, "vc+jwt")),
            text({"credential": root_document() | {"credentialSchema": [named]}, "evidence": {named["id"]: schema, listed["id"]: listed}})]  # fmt: skip


@_makes(MADE, "presentation")
def _() -> list[bytes]:
    few = present([], key=ISSUER, audience="https://bridge.example", challenge="c", now=NOW)
    return [
        text(shown()),
        shown_jwt().encode(),
        text(few),
        present_jwt([], key=ISSUER, audience="https://bridge.example", now=NOW).encode(),
    ]


@_makes(HEAVIEST, "presentation")
def _() -> list[bytes]:
    document = shown()
    return [
        text(document | {"verifiableCredential": [root()] * 100}),
        b"a" * 262_144,
        _deep(60_000),
        text(document | {"@context": ["https://www.w3.org/ns/credentials/v2"] * 1_000}),
    ]
