"""Data Integrity between us and @digitalbazaar/vc: each verifies what the other signs, and refuses it once changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from did_agent.clock import format_timestamp
from did_agent.did.key import did_key, verification_method
from did_agent.errors import BadSignature, DataLoss, WrongAudience, WrongChallenge
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.multikey import encode_secret_multikey
from did_agent.keys.public import SigningKey
from did_agent.proof.data_integrity import add_proof, require_domain_and_challenge, verify_proof
from tests.fakes.credentials import AUDIENCE, NOW, root_document
from tests.interop.peers import Peer, PeerRefusedError

KEYS: dict[str, SigningKey] = {
    "Ed25519": ed25519.SigningKey.from_seed(b"\x07" * 32),
    "P-256": ecdsa.SigningKey("P-256", b"\x07" * 32),
    "P-384": ecdsa.SigningKey("P-384", b"\x07" * 48),
}
SUITES = [
    ("eddsa-jcs-2022", "Ed25519"),
    ("eddsa-rdfc-2022", "Ed25519"),
    ("ecdsa-rdfc-2019", "P-256"),
    ("ecdsa-rdfc-2019", "P-384"),
]
CHALLENGE = "c-7dQ2"
every_suite = pytest.mark.parametrize(("suite", "kind"), SUITES)


def document(kind: str) -> dict[str, Any]:
    """An unsigned credential by the key of that kind, whose status nobody has to look up."""
    made = {name: value for name, value in root_document().items() if name != "credentialStatus"}
    return made | {"issuer": did_key(KEYS[kind].public)}


def ours(suite: str, kind: str) -> dict[str, Any]:
    return _signed(document(kind), suite, kind, purpose="assertionMethod")


def theirs(peer: Peer, suite: str, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = peer.ask("issue", credential=document(kind), suite=suite, now=_now(), **_secret(kind))
    return made


def our_presentation(suite: str, kind: str) -> dict[str, Any]:
    presentation = _presentation(ours(suite, kind), kind)
    return _signed(presentation, suite, kind, purpose="authentication", challenge=CHALLENGE, domain=AUDIENCE)


def changed(secured: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a wider grant under the same proof."""
    copied = copy.deepcopy(secured)
    credential = copied["verifiableCredential"][0] if "verifiableCredential" in copied else copied
    credential["credentialSubject"]["capability"][0]["tools"]["search"]["limit"]["max"] = 51
    return copied


@every_suite
def test_the_peer_verifies_our_credential_and_refuses_a_wider_one(data_integrity: Peer, suite: str, kind: str) -> None:
    secured = ours(suite, kind)
    assert data_integrity.ask("verify", credential=secured, suite=suite, now=_now()) == {"verified": True, "why": []}
    answer = data_integrity.ask("verify", credential=changed(secured), suite=suite, now=_now())
    assert answer["verified"] is False
    assert "Invalid signature." in answer["why"]


@every_suite
def test_we_verify_the_peers_credential_and_refuse_a_wider_one(data_integrity: Peer, suite: str, kind: str) -> None:
    secured = theirs(data_integrity, suite, kind)
    verified = verify_proof(secured, expected_purpose="assertionMethod", now=NOW)
    assert verified.controller == did_key(KEYS[kind].public)
    with pytest.raises(BadSignature):
        verify_proof(changed(secured), expected_purpose="assertionMethod", now=NOW)


@every_suite
def test_the_peer_verifies_our_presentation_for_its_challenge_only(data_integrity: Peer, suite: str, kind: str) -> None:
    def refusal(presentation: dict[str, Any], challenge: str = CHALLENGE, domain: str = AUDIENCE) -> str:
        answer = data_integrity.ask(
            "verifyPresentation",
            presentation=presentation,
            suite=suite,
            challenge=challenge,
            domain=domain,
            now=_now(),
        )
        assert answer["verified"] is (answer["why"] == [])
        return " ".join(answer["why"])

    secured = our_presentation(suite, kind)
    assert refusal(secured) == ""
    assert "Invalid signature." in refusal(changed(secured))
    assert "The challenge is not as expected" in refusal(secured, challenge="another")
    assert "The domain is not as expected" in refusal(secured, domain="https://other.example")


@every_suite
def test_we_verify_the_peers_presentation_for_our_challenge_only(data_integrity: Peer, suite: str, kind: str) -> None:
    secured = data_integrity.ask(
        "present",
        presentation=_presentation(theirs(data_integrity, suite, kind), kind),
        suite=suite,
        challenge=CHALLENGE,
        domain=AUDIENCE,
        now=_now(),
        **_secret(kind),
    )
    verified = verify_proof(secured, expected_purpose="authentication", now=NOW)
    require_domain_and_challenge(verified, expected_domain=frozenset({AUDIENCE}), expected_challenge=CHALLENGE)
    with pytest.raises(BadSignature):
        verify_proof(changed(secured), expected_purpose="authentication", now=NOW)
    with pytest.raises(WrongChallenge):
        require_domain_and_challenge(verified, expected_domain=frozenset({AUDIENCE}), expected_challenge="another")
    with pytest.raises(WrongAudience):
        require_domain_and_challenge(
            verified, expected_domain=frozenset({"https://other.example"}), expected_challenge=CHALLENGE
        )


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_both_make_the_same_signature(data_integrity: Peer, suite: str) -> None:
    assert theirs(data_integrity, suite, "Ed25519")["proof"] == ours(suite, "Ed25519")["proof"]


def test_neither_signs_a_member_that_has_no_meaning(data_integrity: Peer) -> None:
    spoilt = document("Ed25519") | {"surprise": True}
    with pytest.raises(DataLoss):
        _signed(spoilt, "eddsa-rdfc-2022", "Ed25519", purpose="assertionMethod")
    with pytest.raises(PeerRefusedError, match="Safe mode"):
        data_integrity.ask("issue", credential=spoilt, suite="eddsa-rdfc-2022", now=_now(), **_secret("Ed25519"))


def _presentation(credential: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": did_key(KEYS[kind].public),
        "verifiableCredential": [credential],
    }


def _signed(made: dict[str, Any], suite: str, kind: str, **proof: Any) -> dict[str, Any]:
    method = verification_method(did_key(KEYS[kind].public))
    return add_proof(made, KEYS[kind], created=NOW, verification_method=method, cryptosuite=suite, **proof)


def _secret(kind: str) -> dict[str, str]:
    return {"did": did_key(KEYS[kind].public), "secretKeyMultibase": encode_secret_multikey(KEYS[kind])}


def _now() -> str:
    return format_timestamp(NOW)
