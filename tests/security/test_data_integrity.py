"""Data Integrity: who signed, for what, for whom, when; and nothing that was not signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.did.key import did_key, verification_method
from did_agent.errors import (
    BadDID,
    BadProof,
    BadSignature,
    DidAgentError,
    Expired,
    NotYetValid,
    WrongAudience,
    WrongChallenge,
    WrongKey,
    WrongPurpose,
)
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import add_proof, require_domain_and_challenge, verify_proof

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
DID = did_key(KEY.public)
DOCUMENT = {"@context": ["https://www.w3.org/ns/credentials/v2"], "name": "Ada", "tools": {"a": {}}}


def secured(**changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "purpose": "assertionMethod",
        "created": NOW,
        "verification_method": verification_method(DID),
        "domain": "https://bridge.example",
        "challenge": "c1",
        **changes,
    }
    return add_proof(DOCUMENT, options.pop("key", KEY), **options)


def verify(document: dict[str, Any], now: datetime = NOW) -> Any:
    return verify_proof(document, expected_purpose="assertionMethod", now=now)


def spoiled(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    proof = {**document["proof"], **changes}
    return {**document, "proof": {name: value for name, value in proof.items() if value is not ...}}


def test_what_was_signed_comes_back() -> None:
    verified = verify(secured())
    assert verified.document == DOCUMENT
    assert verified.controller == DID


@pytest.mark.req("VCX-08")
@pytest.mark.parametrize(
    "change",
    [
        {"name": "Eve"},
        {"extra": 1},
        {"tools": {"a": {}, "b": {}}},
        {"tools": [{"a": {}}]},
        {"@context": ["https://evil.example"]},
        {"@context": []},
    ],
)
def test_every_change_of_the_document_is_noticed(change: dict[str, Any]) -> None:
    with pytest.raises((BadSignature, BadProof)):
        verify({**secured(), **change})


@pytest.mark.req("VCX-07")
def test_contexts_appended_after_signing_are_not_part_of_what_was_signed() -> None:
    longer = {**secured(), "@context": [*DOCUMENT["@context"], {"tools": "https://evil.example/"}]}
    assert verify(longer).document["@context"] == DOCUMENT["@context"]


@pytest.mark.req("VCX-06")
@pytest.mark.parametrize(
    "changes",
    [
        {"previousProof": "urn:uuid:1"},
        {"surprise": 1},
        {"cryptosuite": "eddsa-jcs-2099"},
        {"cryptosuite": "none"},
        {"type": "Ed25519Signature2020"},
        {"cryptosuite": ...},
        {"proofPurpose": ...},
        {"verificationMethod": ...},
        {"verificationMethod": {"id": "did:key:z"}},
        {"proofValue": ...},
        {"proofValue": ""},
        {"proofValue": "u" + "A" * 86},
        {"proofValue": "z" + "1" * 63},
        {"proofValue": "z" + "1" * 10_000},
    ],
)
def test_a_proof_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadProof):
        verify(spoiled(secured(), **changes))


@pytest.mark.req("VCX-06")
def test_there_is_exactly_one_proof() -> None:
    document = secured()
    for proof in ([document["proof"]], [document["proof"]] * 2, [], None, "z"):
        with pytest.raises(BadProof):
            verify({**document, "proof": proof})
    with pytest.raises(BadProof):
        add_proof(document, KEY, purpose="assertionMethod", created=NOW, verification_method=verification_method(DID))


@pytest.mark.req("VCX-04")
def test_the_method_belongs_to_the_key_and_serves_the_purpose() -> None:
    with pytest.raises(BadSignature):
        verify(secured(key=OTHER))
    other = verification_method(did_key(OTHER.public))
    with pytest.raises(WrongKey):
        verify(secured(verification_method=f"{DID}#{other.split('#')[1]}"))
    with pytest.raises(BadSignature):
        verify(spoiled(secured(), verificationMethod=other))
    for method in (DID, f"{DID}#", "#" + DID, f"{DID}#keys-1#x", "https://evil.example/key#1", f"{DID}?a#b"):
        with pytest.raises((BadDID, WrongKey)):
            verify(secured(verification_method=method))
    with pytest.raises(WrongPurpose):
        verify(secured(purpose="authentication"))


@pytest.mark.req("VCX-01")
def test_a_proof_is_for_one_domain_and_one_challenge() -> None:
    verified = verify(secured())
    require_domain_and_challenge(
        verified, expected_domain=frozenset({"https://bridge.example"}), expected_challenge="c1"
    )
    for domain in ("https://bridge.example/", "https://evil.example", ""):
        with pytest.raises(WrongAudience):
            require_domain_and_challenge(verified, expected_domain=frozenset({domain}), expected_challenge="c1")
    with pytest.raises(WrongChallenge):
        require_domain_and_challenge(
            verified, expected_domain=frozenset({"https://bridge.example"}), expected_challenge="c2"
        )


@pytest.mark.req("VCX-11")
def test_a_proof_has_its_time() -> None:
    verify(secured(created=NOW + timedelta(minutes=5)))
    with pytest.raises(NotYetValid):
        verify(secured(created=NOW + timedelta(minutes=5, seconds=1)))
    dated = secured(expires=NOW + timedelta(seconds=1))
    verify(dated)
    with pytest.raises(Expired):
        verify(dated, now=NOW + timedelta(seconds=1))
    with pytest.raises(DidAgentError):
        verify(spoiled(secured(), created="yesterday"))
