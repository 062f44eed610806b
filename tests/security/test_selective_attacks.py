"""Holders who show more, less or other than the issuer signed; every refusal next to what is accepted."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import cbor2
import pytest

from did_agent.did.key import did_key, verification_method
from did_agent.encoding import multibase
from did_agent.encoding.digest import sha256
from did_agent.errors import (
    BadProof,
    BadSignature,
    DataLoss,
    DidAgentError,
    TooComplex,
    UnknownContext,
    WrongKey,
    WrongPurpose,
)
from did_agent.keys import ed25519
from did_agent.keys.ecdsa import SigningKey
from did_agent.keys.multikey import multikey_bytes
from did_agent.proof.cryptosuite import CRYPTOSUITES
from did_agent.proof.data_integrity import add_proof, verify_proof
from did_agent.proof.selective import SelectiveDisclosure, _config_hash, _revealed, base_value, derive
from did_agent.proof.selective_value import DerivedValue, parse_derived_value

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, PROOF, MALLORY, P384 = (
    SigningKey(kind, bytes([n]) * size)  # type: ignore[arg-type]
    for n, (kind, size) in enumerate((("P-256", 32), ("P-256", 32), ("P-256", 32), ("P-384", 48)), 1)
)
DID = did_key(ISSUER.public)
HMAC = b"h" * 32
V2 = "https://www.w3.org/ns/credentials/v2"
UNDEFINED = "https://www.w3.org/ns/credentials/undefined-terms/v2"
OPTIONS = {
    "type": "DataIntegrityProof",
    "cryptosuite": "ecdsa-sd-2023",
    "created": "2026-11-23T11:00:00Z",
    "verificationMethod": verification_method(DID),
    "proofPurpose": "assertionMethod",
}
POINTERS = ["/credentialSubject/rank", "/credentialSubject/sails/0", "/credentialSubject/sails/2/year"]

Document = dict[str, Any]


def credential(name: str = "Ada") -> Document:
    return {
        "@context": [V2, UNDEFINED],
        "type": ["VerifiableCredential"],
        "issuer": DID,
        "validUntil": "2027-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:holder",
            "name": name,
            "rank": 3,
            "sails": [{"name": "Kihei", "year": 2023}, {"name": "Lahaina", "year": 2021}, {"year": 2020}],
        },
    }


def issued(document: Document | None = None, proof_key: SigningKey = PROOF) -> Document:
    document = document or credential()
    value = base_value(
        document,
        OPTIONS,
        ISSUER,
        mandatory_pointers=["/issuer", "/validUntil"],
        hmac_key=HMAC,
        proof_key=proof_key,
    )
    return {**document, "proof": {**OPTIONS, "proofValue": value.encode()}}


@cache
def derived() -> Document:
    return derive(issued(), POINTERS)


def honest() -> Document:
    return deepcopy(derived())


def value_of(secured: Document) -> DerivedValue:
    return parse_derived_value(secured["proof"]["proofValue"])


def with_value(secured: Document, **changes: Any) -> Document:
    return with_text(secured, replace(value_of(secured), **changes).encode())


def with_text(secured: Document, text: Any) -> Document:
    return {**secured, "proof": {**secured["proof"], "proofValue": text}}


def components(secured: Document) -> list[Any]:
    return list(cbor2.loads(multibase.decode(secured["proof"]["proofValue"], max_chars=65_536)[3:]))


def with_component(secured: Document, at: int, value: Any) -> Document:
    changed = [value if at == n else found for n, found in enumerate(components(secured))]
    return with_text(secured, multibase.encode_base64url(b"\xd9\x5d\x01" + cbor2.dumps(changed)))


def without_proof(secured: Document) -> Document:
    return {name: value for name, value in secured.items() if name != "proof"}


def verify(secured: Document) -> Any:
    return verify_proof(secured, expected_purpose="assertionMethod", now=NOW, suites=CRYPTOSUITES).document


def refused(secured: Document, *errors: type[DidAgentError]) -> None:
    """Refused, for one of the reasons; and what it was made from is accepted."""
    with pytest.raises(errors or (BadProof, BadSignature)):
        verify(secured)
    assert verify(honest()) == without_proof(honest())


# ---- base proofs are for holders, derived ones for verifiers


@pytest.mark.req("VCX-06")
def test_a_base_proof_verifies_nowhere() -> None:
    refused(issued(), BadProof)
    relabelled = multibase.decode(issued()["proof"]["proofValue"], max_chars=65_536)[3:]
    refused(with_text(issued(), multibase.encode_base64url(b"\xd9\x5d\x01" + relabelled)), BadProof)


def test_from_a_derived_proof_nothing_is_derived() -> None:
    for secured in (honest(), credential(), {**credential(), "proof": [issued()["proof"]]}, with_text(issued(), 7)):
        with pytest.raises(BadProof):
            derive(secured, POINTERS)
    assert verify(derive(issued(), POINTERS))


def test_a_base_proof_of_another_document_is_not_derived_from() -> None:
    shorter = credential()
    del shorter["credentialSubject"]["name"]
    with pytest.raises(BadProof):
        derive({**shorter, "proof": issued()["proof"]}, POINTERS)
    # As long as the other, it is derived from: the holder has no issuer's key to check it with.  It verifies nowhere.
    refused(derive({**credential("Eve"), "proof": issued()["proof"]}, ["/credentialSubject/name"]), BadSignature)


@pytest.mark.parametrize("at", [2, 4])
@pytest.mark.parametrize("value", [b"h" * 31, [7], None, {}])
def test_a_base_proof_with_a_wrong_component_is_not_derived_from(at: int, value: Any) -> None:
    changed = [value if at == n else found for n, found in enumerate(components(issued()))]
    with pytest.raises(BadProof):
        derive(with_text(issued(), multibase.encode_base64url(b"\xd9\x5d\x00" + cbor2.dumps(changed))), POINTERS)
    assert verify(derive(issued(), POINTERS))


# ---- statements


@pytest.mark.req("VCX-08")
@pytest.mark.parametrize(
    "path",
    [("validUntil",), ("credentialSubject", "id"), ("credentialSubject", "rank"), ("credentialSubject", "sails", 0, "name"), ("credentialSubject", "sails", 1, "year")],
)  # fmt: skip
def test_a_changed_value_is_refused(path: tuple[Any, ...]) -> None:
    secured = honest()
    target: Any = secured
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = 4 if isinstance(target[path[-1]], int) else "2028-01-01T00:00:00Z" if len(path) == 1 else "did:example:eve"  # fmt: skip
    refused(secured, BadSignature)


def test_values_swapped_between_nodes_are_refused() -> None:
    secured = honest()
    first, last = secured["credentialSubject"]["sails"]
    first["year"], last["year"] = last["year"], first["year"]
    refused(secured)


@pytest.mark.req("VCX-08")
def test_an_added_statement_is_refused() -> None:
    secured = honest()
    secured["credentialSubject"]["admin"] = True
    refused(secured, BadProof)
    refused(with_value(secured, signatures=(*value_of(secured).signatures, b"\x01" * 64)), BadSignature)
    # Not even when the holder declares it mandatory, or signs it.
    mandatory, others = _revealed(without_proof(secured), value_of(secured))
    everything = sorted([*mandatory, *others])
    added = next(at for at, text in enumerate(everything) if "admin" in text)
    moved = sorted([at + (at >= added) for at in value_of(secured).mandatory_indexes])
    refused(with_value(secured, mandatory_indexes=tuple(sorted([*moved, added]))), BadSignature)
    signed = [MALLORY.sign(text.encode()) if "admin" in text else b"" for text in everything]
    kept = iter(value_of(honest()).signatures)
    signatures = tuple(signed[at] or next(kept) for at in range(len(everything)) if at not in moved)
    refused(with_value(secured, signatures=signatures, mandatory_indexes=tuple(moved)), BadSignature)


@pytest.mark.req("VCX-07")
def test_a_member_without_meaning_is_refused() -> None:
    secured = honest()
    secured["@context"] = [V2]
    refused(secured, DataLoss)
    refused({**honest(), "@context": [V2, "https://attacker.example/v1"]}, UnknownContext)


def test_statements_of_two_credentials_do_not_mix() -> None:
    other = derive(issued(credential("Eve"), MALLORY), ["/credentialSubject/rank", "/credentialSubject/name"])
    mine = derive(issued(), ["/credentialSubject/rank", "/credentialSubject/name"])
    assert verify(other)["credentialSubject"]["name"] == "Eve"
    assert verify(mine)["credentialSubject"]["name"] == "Ada"
    refused({**other, "proof": mine["proof"]}, BadSignature)
    refused({**mine, "proof": other["proof"]}, BadSignature)
    mixed = {**mine, "credentialSubject": other["credentialSubject"]}
    refused(with_value(mixed, signatures=value_of(other).signatures), BadSignature)
    refused(with_value(other, proof_key=PROOF.public), BadSignature)


def test_a_left_out_statement_with_its_signature_is_the_holders_right_a_mandatory_one_is_not() -> None:
    assert "validUntil" in verify(derive(issued(), ["/credentialSubject/rank"]))
    secured = honest()
    del secured["validUntil"]
    refused(secured)
    refused(with_value(secured, mandatory_indexes=value_of(secured).mandatory_indexes[:-1]))
    secured = honest()
    del secured["credentialSubject"]["rank"]
    refused(secured, BadProof)


# ---- counts, indexes, labels


def test_signatures_must_match_statements_one_to_one() -> None:
    signatures = value_of(honest()).signatures
    refused(with_value(honest(), signatures=signatures[:-1]), BadProof)
    refused(with_value(honest(), signatures=()), BadProof)
    refused(with_value(honest(), signatures=(*signatures, signatures[0])), BadProof)
    refused(with_value(honest(), signatures=tuple(reversed(signatures))), BadSignature)
    refused(with_value(honest(), signatures=(signatures[0],) * len(signatures)), BadSignature)
    refused(with_component(honest(), 2, [*signatures[:-1], signatures[-1][:63]]), BadProof)
    refused(with_component(honest(), 2, {0: signatures[0]}), BadProof)


@pytest.mark.parametrize("indexes", [(), (0,), (0, 1, 2, 3), (999,), (0, 999), (2**63,)])
def test_mandatory_indexes_are_the_issuers_not_the_holders(indexes: tuple[int, ...]) -> None:
    refused(with_value(honest(), mandatory_indexes=indexes))


@pytest.mark.parametrize("spoil", [lambda found: [*found, found[-1]], lambda found: found[::-1], lambda found: [-1, *found], lambda found: [True, *found], lambda found: [*found, "9"], lambda found: dict.fromkeys(found, 1), lambda found: [*found, None]])  # fmt: skip
def test_mandatory_indexes_are_ascending_numbers(spoil: Any) -> None:
    refused(with_component(honest(), 4, spoil(components(honest())[4])), BadProof)


def test_promoting_and_demoting_statements_is_refused() -> None:
    mandatory, others = _revealed(without_proof(honest()), value_of(honest()))
    everything = sorted([*mandatory, *others])
    promoted = everything.index(others[0])
    indexes = tuple(sorted([*value_of(honest()).mandatory_indexes, promoted]))
    refused(with_value(honest(), mandatory_indexes=indexes, signatures=value_of(honest()).signatures[1:]), BadSignature)
    fewer = value_of(honest()).mandatory_indexes[1:]
    refused(with_value(honest(), mandatory_indexes=fewer, signatures=(b"\x01" * 64, *value_of(honest()).signatures)))


def test_the_label_map_is_the_one_of_the_document() -> None:
    labels = dict(value_of(honest()).labels)
    first, second = list(labels)[:2]
    refused(with_value(honest(), labels={**labels, first: labels[second], second: labels[first]}), BadSignature)
    refused(with_value(honest(), labels={name: labels[name] for name in labels if name != first}), BadProof)
    refused(with_value(honest(), labels={**labels, "_:c14n9": "_:u" + "A" * 43}), BadProof)
    refused(with_value(honest(), labels={}), BadProof)
    raw = components(honest())[3]
    for changed in (
        {**raw, 0: raw[1]},  # two nodes under one name
        {**raw, 0: raw[0][:31]},
        {**raw, 0: "u" + "A" * 43},
        {str(number): digest for number, digest in raw.items()},
        {number - 1: digest for number, digest in raw.items()},
        list(raw.values()),
    ):
        refused(with_component(honest(), 3, changed), BadProof)


# ---- keys


@pytest.mark.req("TOK-01")
def test_keys_of_other_kinds_neither_sign_nor_verify() -> None:
    suite, proof = SelectiveDisclosure(), honest()["proof"]
    for key in (P384, ed25519.SigningKey.from_seed(b"e" * 32)):
        with pytest.raises(WrongKey):
            suite.sign(credential(), OPTIONS, key)
        with pytest.raises(WrongKey):
            suite.verify(without_proof(honest()), proof, key.public)
        with pytest.raises(WrongKey):
            base_value(credential(), OPTIONS, ISSUER, mandatory_pointers=[], hmac_key=HMAC, proof_key=key)
        refused(with_component(honest(), 1, multikey_bytes(key.public)), BadProof)
    assert suite.verify(without_proof(honest()), proof, ISSUER.public)


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize(
    "raw", [b"", b"\x80\x24\x05" + b"\x01" * 32, b"\x80\x24\x02" + b"\xff" * 32, b"\x80\x24", "zDn", 7]
)
def test_a_proof_key_is_a_point_of_its_curve(raw: Any) -> None:
    refused(with_component(honest(), 1, raw), BadProof)


def test_a_proof_key_of_the_holder_is_not_the_issuers() -> None:
    secured = honest()
    _, others = _revealed(without_proof(secured), value_of(secured))
    signatures = tuple(MALLORY.sign(text.encode()) for text in others)
    refused(with_value(secured, proof_key=MALLORY.public, signatures=signatures), BadSignature)


def test_another_issuer_cannot_take_over_a_proof() -> None:
    secured = honest()
    other = {**secured["proof"], "verificationMethod": verification_method(did_key(MALLORY.public))}
    refused({**secured, "proof": other}, BadSignature)
    # Signed anew by somebody else it verifies, and says who that is.
    value = value_of(secured)
    mandatory, _ = _revealed(without_proof(secured), value)
    digest = _config_hash(secured, other) + multikey_bytes(value.proof_key) + sha256("".join(mandatory).encode())
    taken = with_value({**secured, "proof": other}, signature=MALLORY.sign(digest))
    found = verify_proof(taken, expected_purpose="assertionMethod", now=NOW, suites=CRYPTOSUITES)
    assert found.controller == did_key(MALLORY.public) != found.document["issuer"]


def test_the_options_of_the_proof_are_signed() -> None:
    refused({**honest(), "proof": {**honest()["proof"], "created": "2026-11-23T11:00:01Z"}}, BadSignature)
    refused({**honest(), "proof": {**honest()["proof"], "domain": "https://a.example"}}, BadSignature)
    refused({**honest(), "proof": {**honest()["proof"], "proofPurpose": "authentication"}}, WrongPurpose)


# ---- bytes


@pytest.mark.parametrize("spoil", [lambda text: "z" + text[1:], lambda text: text + "=", lambda text: text[:-1], lambda text: "u" + text[6:], lambda text: text + "A" * 65_536, lambda text: "", lambda text: None, lambda text: [text], lambda text: "u2V0C" + text[5:], lambda text: "u2V0A"])  # fmt: skip
def test_another_text_is_no_proof_value(spoil: Any) -> None:
    with pytest.raises(BadProof):
        SelectiveDisclosure().verify(without_proof(honest()), {**OPTIONS, "proofValue": spoil(honest()["proof"]["proofValue"])}, ISSUER.public)  # fmt: skip
    assert verify(honest())


def test_no_flipped_bit_survives() -> None:
    document = {**credential(), "@context": [V2], "credentialSubject": {"name": "Ada", "description": "Countess"}}
    secured = derive(issued(document), ["/credentialSubject/name"])
    raw = multibase.decode(secured["proof"]["proofValue"], max_chars=65_536)
    for at in range(len(raw)):
        flipped = raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]
        with pytest.raises((BadProof, BadSignature)):
            verify(with_text(secured, multibase.encode_base64url(flipped)))
    assert verify(secured)


@pytest.mark.parametrize("value", [[], [1], {}, b"x", "text", 7, None, [b""] * 5, [b""] * 6, [None] * 5])
def test_cbor_of_another_shape_is_no_proof_value(value: Any) -> None:
    refused(with_text(honest(), multibase.encode_base64url(b"\xd9\x5d\x01" + cbor2.dumps(value))), BadProof)


@pytest.mark.req("VCX-09")
def test_a_graph_made_to_be_expensive_is_refused() -> None:
    secured = honest()
    secured["credentialSubject"]["sails"] = [{"twin": {"twin": {"a": 1}}} for _ in range(20)]
    refused(secured, TooComplex)


def test_the_ordinary_way_to_sign_gives_proofs_that_can_be_derived_from() -> None:
    signed = add_proof(
        credential(),
        ISSUER,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(DID),
        cryptosuite="ecdsa-sd-2023",
    )
    refused(signed, BadProof)
    assert verify(derive(signed, POINTERS))["credentialSubject"]["rank"] == 3
