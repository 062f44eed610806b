"""Seeds: what travels as a JSON-LD document."""

from __future__ import annotations

import gzip
import os
from typing import Any, Final

from did_agent.credential import bitstring
from did_agent.did.key import did_key, verification_method
from did_agent.encoding.jsonld import canonical_nquads
from did_agent.presentation.present import present, present_jwt
from did_agent.proof.data_integrity import add_proof, extend_proofs
from did_agent.proof.selective import derive
from did_agent.proof.vc_jose import enveloped
from did_agent.proof.vc_jose import secure as secure_jose
from tests.fakes.credentials import ISSUER, ISSUER_DID, chain_of_two, root, root_document, status_list
from tests.fakes.presentations import shown, shown_jwt
from tests.fuzz.oracle import NOW, P256, P384
from tests.fuzz.seed_tables import HEAVIEST, MADE, deep, makes, text


@makes(MADE, "nquads")
def _() -> list[bytes]:
    ring = "".join(f"_:b{n} <urn:p> _:b{(n + 1) % 3} _:g .\n" for n in range(3))
    return [
        canonical_nquads(root_document()),
        ring.encode(),
        b'<urn:a> <urn:p> "x\\u00e9\\n"@en-GB <urn:g> . # c\n_:a <urn:p> "1"^^<urn:t> .\n',
    ]


@makes(HEAVIEST, "nquads")
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


@makes(MADE, "json_ld")
def _() -> list[bytes]:
    more = {"@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"], "name": "\u00e9",
            "type": ["VerifiableCredential", "X"], "evidence": [{"type": "Y", "z": 1.5, "w": True}, {"id": "urn:x", "type": "Y"}]}  # fmt: skip
    return [text(root_document()), text(shown()), text(more)]


@makes(HEAVIEST, "json_ld", "data_integrity", "credential")
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


@makes(MADE, "data_integrity")
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


@makes(MADE, "bitstring_status_list")
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


@makes(HEAVIEST, "bitstring_status_list")
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


@makes(MADE, "capability_credential")
def _() -> list[bytes]:
    return [text(document) for document in (root(), chain_of_two()[0], root_document())]


@makes(HEAVIEST, "capability_credential")
def _() -> list[bytes]:
    document = root_document()
    held = document["credentialSubject"]["capability"]
    held[0]["tools"] = {f"tool{n}": {"a": {"constraint_type": "one_of", "values": list(range(64))}} for n in range(250)}
    return [text(document), text(document | {"credentialStatus": [document["credentialStatus"][0]] * 1_000})]


@makes(MADE, "constraints")
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


@makes(HEAVIEST, "constraints")
def _() -> list[bytes]:
    listed = {"constraint_type": "one_of", "values": [str(n) for n in range(256)]}
    joined = [{"constraint_type": kind, "constraints": [listed] * 16} for kind in ("all", "any")]
    mixed = {"constraint_type": "all", "constraints": [{"constraint_type": "any", "constraints": [listed] * 15}] * 3}
    return [text([one, other, "x"]) for one in (*joined, mixed) for other in (*joined, mixed)]


@makes(MADE, "credential")
def _() -> list[bytes]:
    token = secure_jose(root_document(), ISSUER, envelope="vc+jwt", verification_method=verification_method(ISSUER_DID))
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {"type": "string", "format": "uri", "maxLength": 9}},
              "properties": {"name": {"$ref": "#/$defs/a"}, "n": {"multipleOf": 0.1, "enum": [1], "uniqueItems": True}}}  # fmt: skip
    named = {"id": "https://a.example/s", "type": "JsonSchema"}
    listed = status_list("revocation")
    return [text(root()), token.encode(), text(enveloped(token, "vc+jwt")),
            text({"credential": root_document() | {"credentialSchema": [named]}, "evidence": {named["id"]: schema, listed["id"]: listed}})]  # fmt: skip


@makes(MADE, "presentation")
def _() -> list[bytes]:
    few = present([], key=ISSUER, audience="https://bridge.example", challenge="c", now=NOW)
    return [
        text(shown()),
        shown_jwt().encode(),
        text(few),
        present_jwt([], key=ISSUER, audience="https://bridge.example", now=NOW).encode(),
    ]


@makes(HEAVIEST, "presentation")
def _() -> list[bytes]:
    document = shown()
    return [
        text(document | {"verifiableCredential": [root()] * 100}),
        b"a" * 262_144,
        deep(60_000),
        text(document | {"@context": ["https://www.w3.org/ns/credentials/v2"] * 1_000}),
    ]
