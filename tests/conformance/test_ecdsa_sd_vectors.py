"""ecdsa-sd-2023 against the official vectors: every intermediate value of base proof, disclosure and verification."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.encoding.jsonld import canonical_nquads, dataset
from did_agent.encoding.rdf import parse_nquads
from did_agent.encoding.rdfc import canonicalize
from did_agent.keys.multikey import encode_multikey, parse_secret_multikey
from did_agent.proof import selective
from did_agent.proof.cryptosuite import CRYPTOSUITES
from did_agent.proof.data_integrity import _options, verify_proof
from did_agent.proof.json_pointer import select
from did_agent.proof.selective import SelectiveDisclosure, base_value, derive
from did_agent.proof.selective_groups import Statements, relabelled, statements
from did_agent.proof.selective_value import parse_base_value, parse_derived_value

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared"))
FOLDER = SHARED / "vectors" / "vc-di-ecdsa"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not (FOLDER / "ecdsa-sd-2023").is_dir(),
    reason=f"no official vectors at {FOLDER}; set DID_AGENT_SHARED to the folder that holds them",
)


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def step(name: str) -> Any:
    return read(f"ecdsa-sd-2023/employ/{name}")


def hmac_key() -> bytes:
    return bytes.fromhex(read("ecdsa-sd-2023/SDKeyMaterial.json")["hmacKeyString"])


def key(name: str) -> Any:
    return parse_secret_multikey(read("ecdsa-sd-2023/SDKeyMaterial.json")[name]["secretKeyMultibase"])


def unsecured(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "proof"}


def options(secured: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in secured["proof"].items() if name != "proofValue"}


def employ() -> dict[str, Any]:
    return unsecured(step("addSignedSDBase.json"))


def whole() -> Statements:
    return statements(employ(), hmac_key())


def numbered(lines: tuple[str, ...], indexes: tuple[int, ...]) -> dict[str, Any]:
    return {"dataType": "Map", "value": [[at, lines[at]] for at in indexes]}


def others(lines: tuple[str, ...], indexes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(at for at in range(len(lines)) if at not in indexes)


# ---- base proof


def test_the_key_pairs_belong_together() -> None:
    for name, pair in read("ecdsa-sd-2023/SDKeyMaterial.json").items():
        if name.endswith("KeyPair"):
            assert encode_multikey(key(name).public) == pair["publicKeyMultibase"]


def test_the_canonical_document() -> None:
    assert list(canonicalize(dataset(employ())).lines) == step("addBaseDocCanon.json")


def test_the_document_under_hmac_labels() -> None:
    assert list(whole().lines) == step("addBaseDocHMACCanon.json")


def test_what_the_pointers_point_at() -> None:
    for entry in step("addPointerValues.json"):
        name = entry["pointer"].removeprefix("/")
        assert select(employ(), [entry["pointer"]])[name] == entry["value"]


def test_the_grouping_into_mandatory_and_not() -> None:
    expected, lines = step("addBaseTransform.json"), whole().lines
    mandatory = whole().part(expected["mandatoryPointers"]).indexes
    assert numbered(lines, mandatory) == expected["mandatory"]
    assert numbered(lines, others(lines, mandatory)) == expected["nonMandatory"]
    assert hmac_key() == bytes.fromhex(expected["hmacKeyString"])


def test_the_proof_configuration() -> None:
    expected = step("addProofConfig.json")
    made = _options(
        employ(),
        SelectiveDisclosure().name,
        expected["verificationMethod"],
        expected["proofPurpose"],
        datetime.fromisoformat(expected["created"]),
    )
    assert {**made, "@context": employ()["@context"]} == expected
    canon = (FOLDER / "ecdsa-sd-2023/employ/addProofConfigCanon.txt").read_bytes()
    assert canonical_nquads(expected) == canon
    assert selective._config_hash(employ(), made) == hashlib.sha256(canon).digest()


def test_the_hashes() -> None:
    expected = step("addHashData.json")
    assert selective._config_hash(employ(), options(step("addSignedSDBase.json"))).hex() == expected["proofHash"]
    mandatory = [whole().lines[at] for at in whole().part(read("employMandatory.json")).indexes]
    assert hashlib.sha256("".join(mandatory).encode()).hexdigest() == expected["mandatoryHash"]


def test_the_base_proof_byte_for_byte() -> None:
    secured, raw = step("addSignedSDBase.json"), step("addRawBaseSignatureInfo.json")
    value = base_value(
        employ(),
        options(secured),
        key("baseKeyPair"),
        mandatory_pointers=read("employMandatory.json"),
        hmac_key=hmac_key(),
        proof_key=key("proofKeyPair"),
    )
    assert value.signature.hex() == raw["baseSignature"]
    assert encode_multikey(value.proof_key) == raw["publicKey"]
    assert [signature.hex() for signature in value.signatures] == raw["signatures"]
    assert list(value.mandatory_pointers) == raw["mandatoryPointers"]
    assert value.encode() == secured["proof"]["proofValue"]


# ---- disclosure


def test_the_base_proof_is_read_back() -> None:
    expected = step("derivedRecoveredBaseData.json")
    found = parse_base_value(step("addSignedSDBase.json")["proof"]["proofValue"])
    assert found.signature.hex() == expected["baseSignature"]
    assert encode_multikey(found.proof_key) == expected["proofPublicKey"]
    assert found.hmac_key.hex() == expected["hmacKey"]
    assert [signature.hex() for signature in found.signatures] == expected["signatures"]
    assert list(found.mandatory_pointers) == expected.get("mandatoryPointers", list(found.mandatory_pointers))


def test_the_groups() -> None:
    expected, statements_ = step("derivedAllGroupData.json"), whole()
    assert list(statements_.lines) == expected["nquads"]
    mandatory, chosen = read("employMandatory.json"), read("employSelective.json")
    for name, pointers in (("mandatory", mandatory), ("selective", chosen), ("combined", [*mandatory, *chosen])):
        group, part = expected["groups"][name], statements_.part(pointers)
        assert numbered(statements_.lines, part.indexes) == group["matching"]
        assert numbered(statements_.lines, others(statements_.lines, part.indexes)) == group["nonMatching"]
        # Stand-ins for blank nodes are chosen freely; what stays is the graph.
        theirs = parse_nquads("".join(group["deskolemizedNQuads"]))
        assert canonicalize(part.quads).lines == canonicalize(theirs).lines


def test_the_stand_ins_name_what_theirs_name() -> None:
    expected, statements_ = step("derivedAllGroupData.json"), whole()
    assert sorted(statements_.labels.values()) == sorted(f"_:{signed}" for _, signed in expected["labelMap"]["value"])
    theirs = {f"_:{name}": f"_:{signed}" for name, signed in expected["labelMap"]["value"]}
    quads = parse_nquads("".join(expected["deskolemizedNQuads"]))
    assert sorted(relabelled(quad, theirs) for quad in quads) == list(statements_.lines)

    def anonymous(value: Any) -> Any:
        if isinstance(value, list):
            return [anonymous(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = value.get("@id", value.get("id"))
        here = {"id": "urn:bnid:" if str(name).startswith("urn:bnid:") else name}
        return {**{k: anonymous(v) for k, v in value.items() if k != "@id"}, **here}

    assert anonymous(statements_._named) == anonymous(expected["skolemized"]["compact"])


def test_the_indexes_of_the_groups() -> None:
    expected, statements_ = step("derivedGroupIndexes.json"), whole()
    mandatory, chosen = read("employMandatory.json"), read("employSelective.json")
    found = statements_.part(mandatory).indexes
    assert list(found) == expected["mandatoryIndexes"]
    assert list(others(statements_.lines, found)) == expected["nonMandatoryIndexes"]
    assert list(statements_.part(chosen).indexes) == expected["selectiveIndexes"]
    assert list(statements_.part([*mandatory, *chosen]).indexes) == expected["combinedIndexes"]


def test_the_disclosed_document_byte_for_byte() -> None:
    derived = derive(step("addSignedSDBase.json"), read("employSelective.json"))
    assert unsecured(derived) == step("derivedUnsignedReveal.json")
    assert derived == step("derivedRevealDocument.json")


def test_what_the_disclosed_proof_holds() -> None:
    derived = derive(step("addSignedSDBase.json"), read("employSelective.json"))
    value, data = parse_derived_value(derived["proof"]["proofValue"]), step("derivedDisclosureData.json")
    assert value.signature.hex() == data["baseSignature"]
    assert encode_multikey(value.proof_key) == data["publicKey"]
    assert [signature.hex() for signature in value.signatures] == data["signatures"]
    assert {old[2:]: new[2:] for old, new in value.labels.items()} == dict(data["labelMap"]["value"])
    assert list(value.mandatory_indexes) == data["mandatoryIndexes"]
    assert list(value.mandatory_indexes) == step("derivedAdjMandatoryIndexes.json")["adjMandatoryIndexes"]
    adjusted = step("derivedAdjSignatures.json")
    assert [signature.hex() for signature in value.signatures] == adjusted["filteredSignatures"]
    base = parse_base_value(step("addSignedSDBase.json")["proof"]["proofValue"])
    assert [base.signatures.index(signature) for signature in value.signatures] == adjusted["adjSignatureIndexes"]


# ---- verification


def test_the_derived_proof_is_read_and_written_back() -> None:
    expected = step("verifyDerivedProofValue.json")
    text = step("derivedRevealDocument.json")["proof"]["proofValue"]
    value = parse_derived_value(text)
    assert value.signature.hex() == expected["baseSignature"]
    assert encode_multikey(value.proof_key) == expected["publicKey"]
    assert [signature.hex() for signature in value.signatures] == expected["signatures"]
    assert [[old[2:], new[2:]] for old, new in value.labels.items()] == expected["labelMap"]
    assert list(value.mandatory_indexes) == expected["mandatoryIndexes"]
    assert value.encode() == text


def test_the_statements_the_verifier_sees() -> None:
    secured, expected = step("derivedRevealDocument.json"), step("verifyCreateVerifyData.json")
    value = parse_derived_value(secured["proof"]["proofValue"])
    mandatory, free = selective._revealed(unsecured(secured), value)
    assert sorted([*mandatory, *free]) == step("verifyNQuads.json")
    assert free == expected["nonMandatory"]
    assert hashlib.sha256("".join(mandatory).encode()).hexdigest() == expected["mandatoryHash"]
    assert selective._config_hash(unsecured(secured), options(secured)).hex() == expected["proofHash"]
    assert value.signature.hex() == expected["baseSignature"]
    assert encode_multikey(value.proof_key) == expected["publicKey"]
    assert [signature.hex() for signature in value.signatures] == expected["signatures"]


def test_the_derived_vector_verifies() -> None:
    secured = step("derivedRevealDocument.json")
    verified = verify_proof(secured, expected_purpose="assertionMethod", now=NOW, suites=CRYPTOSUITES)
    assert verified.document == step("derivedUnsignedReveal.json")


def test_the_other_credential_goes_the_same_way() -> None:
    document, proof_options = read("prCredUnsigned.json"), options(step("addSignedSDBase.json"))
    value = base_value(
        document,
        proof_options,
        key("baseKeyPair"),
        mandatory_pointers=read("prCredMandatory.json"),
        hmac_key=hmac_key(),
        proof_key=key("proofKeyPair"),
    )
    secured = {**document, "proof": {**proof_options, "proofValue": value.encode()}}
    derived = derive(secured, read("prCredSelective.json"))
    verified = verify_proof(derived, expected_purpose="assertionMethod", now=NOW, suites=CRYPTOSUITES)
    pointers = [*read("prCredMandatory.json"), *read("prCredSelective.json")]
    assert verified.document == select(document, pointers)
    assert len(verified.document["credentialSubject"]) < len(document["credentialSubject"])  # type: ignore[arg-type]
