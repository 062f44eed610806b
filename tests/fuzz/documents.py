"""Targets: what travels as a JSON-LD document, sealed here where a proof would end every attempt."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

from did_agent.credential import bitstring, verification
from did_agent.credential.chain import verify_chain
from did_agent.credential.constraint import is_satisfied, parse_constraint, subsumes
from did_agent.credential.model import parse_capability_credential, parse_identity_credential
from did_agent.credential.status import parse_status_entries, verify_status_list
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import jcs, rdf
from did_agent.encoding.jsonld import canonical, compiled
from did_agent.encoding.jsonld.active import UnsupportedError
from did_agent.encoding.rdfc import canonicalize as canonical_dataset
from did_agent.encoding.strict_json import parse_json, parse_object
from did_agent.presentation.verification import ExpectedPresentation, prove
from did_agent.presentation.verify import ask
from did_agent.proof.cryptosuite import find_suite
from did_agent.proof.data_integrity import add_proof, proof_methods, verify_proof_set
from did_agent.proof.selective import derive
from tests.fakes.credentials import (
    ALICE_DID,
    AUDIENCE,
    BOB,
    BOB_DID,
    ISSUER,
    ISSUER_DID,
    REVOCATION_URL,
    TRUSTED,
    expected,
)
from tests.fakes.presentations import CHALLENGE, JTI
from tests.fuzz.oracle import (
    NOW,
    P256,
    SUITES,
    VERIFY_ONE,
    as_text,
    decode_all,
    refusals,
    unmeasured,
)


def nquads(raw: bytes) -> None:
    with refusals:
        quads = rdf.parse_nquads(as_text(raw))
        with refusals:
            assert sorted(rdf.parse_nquads(rdf.serialize(quads).decode())) == sorted(set(quads))
        for name in ("sha256", "sha384"):
            with refusals:
                text = canonical_dataset(quads, name).text
                # Refused where the bound is on work, which depends on the order of the statements.
                with refusals:
                    again = canonical_dataset(rdf.parse_nquads(text.decode()), name).text
                    assert again == text, "canonical text of canonical text is another"


def json_ld(raw: bytes) -> None:
    with refusals:
        document = parse_object(raw)
        fast = slow = None
        try:
            with refusals:
                fast = canonical_dataset(compiled.to_quads(document)).text
        except UnsupportedError:
            with refusals:
                canonical.canonical_nquads(document)
            return
        with unmeasured:
            slow = canonical_dataset(canonical.reference_dataset(document)).text
        assert fast == slow, "the two JSON-LD paths disagree"


def data_integrity(raw: bytes) -> None:
    with refusals:
        secured = parse_object(raw)
        for purpose in ("assertionMethod", "authentication"):
            for verify in (VERIFY_ONE, verify_proof_set):
                with refusals:
                    verify(secured, expected_purpose=purpose, now=NOW)
        with refusals:
            proof_methods(secured)
        document = {name: value for name, value in secured.items() if name != "proof"}
        suite = SUITES[len(raw) % len(SUITES)]
        with unmeasured:
            _signed_anew(document, suite)
        proof = secured.get("proof")
        if isinstance(proof, dict):
            with refusals:
                _proof_remade(document, proof)


def _signed_anew(document: Mapping[str, object], suite: str) -> None:
    key = ISSUER if suite.startswith("eddsa") else P256
    signed = add_proof(
        document,
        key,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(did_key(key.public)),
        cryptosuite=suite,
    )
    with unmeasured:
        if suite == "ecdsa-sd-2023":
            signed = derive(signed, [name for name in ("/type", "/credentialSubject") if name[1:] in document])
        verified = None
        with refusals:
            verified = VERIFY_ONE(signed, expected_purpose="assertionMethod", now=NOW)
        assert verified is not None, f"what {suite} signs it refuses"
        assert suite == "ecdsa-sd-2023" or jcs.equal(verified.document, document)


def _proof_remade(document: Mapping[str, object], proof: Mapping[str, Any]) -> None:
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    name = options.get("cryptosuite")
    key = P256 if isinstance(name, str) and name.startswith("ecdsa") else ISSUER
    options["verificationMethod"] = verification_method(did_key(key.public))
    with unmeasured:
        options["proofValue"] = find_suite(name).sign(document, options, key)
    remade = {**document, "proof": options}
    purpose = options.get("proofPurpose")
    for verify in (VERIFY_ONE, verify_proof_set):
        with refusals:
            verify(
                remade, expected_purpose="authentication" if purpose == "authentication" else "assertionMethod", now=NOW
            )


def bitstring_status_list(raw: bytes) -> None:
    decode_all(raw, bitstring.decode, bitstring.encode, lambda bits: gzip.compress(bits, mtime=0), "u")
    with refusals:
        value = parse_object(raw)
        entry, listed = value.get("entry"), value.get("list")
        with refusals:
            parse_status_entries(entry)
        if isinstance(listed, dict):
            with refusals:
                bitstring.check_entry(
                    entry, listed, list_controller=ISSUER_DID, fetched_at=NOW, credential_issuer=ISSUER_DID, now=NOW
                ).require_valid()
            with refusals:
                sealed = _sealed(listed)
                with refusals:
                    verify_status_list(sealed, expected_url=REVOCATION_URL, trusted_issuers=TRUSTED, now=NOW)


def capability_credential(raw: bytes) -> None:
    with refusals:
        document = parse_object(raw)
        with refusals:
            parse_capability_credential(document)
        with refusals:
            parse_identity_credential(document)
        with refusals:
            sealed = _sealed(document)
            with refusals:
                verify_chain([sealed], holder=ALICE_DID, now=NOW, trusted=TRUSTED, max_depth=4)


def constraints(raw: bytes) -> None:
    """A JSON array of two constraints and a value."""
    with refusals:
        given = parse_json(raw)
        if isinstance(given, list) and len(given) == 3:
            left, right = parse_constraint(given[0]), parse_constraint(given[1])
            # An empty `any` admits nothing and hands nothing on, not even itself.
            assert subsumes(left, left) or b"any" in raw, "a constraint does not subsume itself"
            if subsumes(left, right) and is_satisfied(right, given[2]):
                assert is_satisfied(left, given[2]), "attenuation added something"


def credential(raw: bytes) -> None:
    """Any credential in any form, with the schemas and lists it says it has (`{"credential": …, "evidence": …}`)."""
    with refusals:
        verification.ask(raw, now=NOW)
    with refusals:
        verification.unresolved(raw)
    with refusals:
        value = parse_object(raw)
        document, found = value.get("credential"), value.get("evidence")
        if isinstance(document, dict):
            sealed = _sealed(document)
            known = found if isinstance(found, dict) else {}
            held = {name: item for name, item in known.items() if isinstance(item, dict)}
            lists = {name: _sealed(item) for name, item in held.items() if "encodedList" in str(item)[:2_000]}
            with refusals:
                asked = verification.ask(sealed, now=NOW)
                with refusals:
                    verification.judge(asked, verification.Evidence(status_lists=lists, schemas=held))


def presentation(raw: bytes) -> None:
    for wanted in (expected(), JTI):
        with refusals:
            ask(raw, wanted)
    answer = ExpectedPresentation(challenge=CHALLENGE, domains=frozenset({AUDIENCE}), now=NOW)
    with refusals:
        prove(raw, answer)
    with refusals:
        document = parse_object(raw)
        unsigned = {name: value for name, value in document.items() if name != "proof"}
        signed = add_proof(
            unsigned,
            BOB,
            purpose="authentication",
            created=NOW,
            verification_method=verification_method(BOB_DID),
            challenge=CHALLENGE,
            domain=AUDIENCE,
        )
        with refusals:
            assert ask(signed, expected()).signed.holder == BOB_DID
        with refusals:
            assert prove(signed, answer).holder == BOB_DID


def _sealed(document: Mapping[str, object]) -> dict[str, object]:
    """Return a document with an honest proof of the issuer, whatever it says."""
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    return add_proof(
        unsigned, ISSUER, purpose="assertionMethod", created=NOW, verification_method=verification_method(ISSUER_DID)
    )
