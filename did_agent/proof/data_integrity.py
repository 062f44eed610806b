"""VC Data Integrity 1.0 with the cryptosuite `eddsa-jcs-2022` (VC-DI-EdDSA 1.0, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import format_timestamp
from did_agent.did.document import Relationship
from did_agent.did.resolve import method_key
from did_agent.encoding import multibase
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadEncoding, BadProof, Expired, NotYetValid, WrongAudience, WrongChallenge, WrongPurpose
from did_agent.keys.ed25519 import SIGNATURE_BYTES, SigningKey

CRYPTOSUITE: Final = "eddsa-jcs-2022"
MAX_FUTURE: Final = timedelta(minutes=5)  # how far ahead of us a signer's clock may run

_REQUIRED: Final = frozenset({"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"})
_OPTIONAL: Final = frozenset({"@context", "id", "created", "expires", "domain", "challenge", "nonce"})
_PROOF_VALUE_CHARS: Final = 90  # "z" and at most 88 base58 characters for 64 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDocument:
    """What was signed, and by whom; decisions read this and nothing else."""

    document: Mapping[str, object]  # without the proof, `@context` as the proof states it
    secured: Mapping[str, object]  # as received, with the proof
    controller: str  # DID whose key made the proof
    proof: Mapping[str, object]


def add_proof(
    document: Mapping[str, object],
    key: SigningKey,
    *,
    purpose: Relationship,
    created: datetime,
    verification_method: str,
    challenge: str | None = None,
    domain: str | None = None,
    expires: datetime | None = None,
) -> dict[str, object]:
    """Return the document with a proof by `key` (VC Data Integrity 1.0, 4.2).

    Raises: BadProof when it already carries one, BadEncoding when it has no canonical form.
    """
    if "proof" in document:
        raise BadProof("the document is already secured")
    proof: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": CRYPTOSUITE,
        "created": format_timestamp(created),
        "verificationMethod": verification_method,
        "proofPurpose": purpose,
    }
    optional = {"challenge": challenge, "domain": domain, "expires": expires and format_timestamp(expires)}
    proof.update({name: value for name, value in optional.items() if value is not None})
    if "@context" in document:
        proof["@context"] = document["@context"]
    proof["proofValue"] = multibase.encode_base58btc(key.sign(_hash_data(document, proof)))
    return {**document, "proof": proof}


def verify_proof(secured: Mapping[str, object], *, expected_purpose: Relationship, now: datetime) -> VerifiedDocument:
    """Return what the one proof of a document secures (VC Data Integrity 1.0, 4.4).

    Who signed is `controller`; whether that is who had to sign is the caller's question.
    Raises: BadProof, WrongPurpose, WrongKey, BadDID, BadSignature, Expired, NotYetValid.
    """
    proof = _parse_proof(secured.get("proof"))
    # The expectation never comes from the proof itself (VCX-04).
    if proof["proofPurpose"] != expected_purpose:
        raise WrongPurpose(f"proof purpose is not {expected_purpose}")
    _require_window(proof, now)
    document = {name: value for name, value in secured.items() if name != "proof"}
    if "@context" in proof:
        document["@context"] = _signed_context(document.get("@context"), proof["@context"])
    signature = _signature(proof["proofValue"])
    controller, key = method_key(proof["verificationMethod"], relationship=expected_purpose)
    try:
        hash_data = _hash_data(document, proof)
    except BadEncoding as error:
        raise BadProof("the document has no canonical form") from error
    key.verify(hash_data, signature)
    return VerifiedDocument(document=document, secured=secured, controller=controller, proof=proof)


def require_domain_and_challenge(
    verified: VerifiedDocument, *, expected_domain: frozenset[str], expected_challenge: str | None
) -> None:
    """Return if the proof was made for us, and in answer to our challenge where one is expected.

    Raises: WrongAudience, WrongChallenge.
    """
    domain = verified.proof.get("domain")
    if not isinstance(domain, str) or domain not in expected_domain:
        raise WrongAudience("the proof's domain is not ours")
    if expected_challenge is not None and verified.proof.get("challenge") != expected_challenge:
        raise WrongChallenge("the proof answers another challenge")


def _parse_proof(proof: object) -> Mapping[str, object]:
    # Exactly one proof; sets and chains (`previousProof`) are not part of this profile (VCX-06).
    if not isinstance(proof, dict):
        raise BadProof("exactly one proof object is expected")
    if not proof.keys() >= _REQUIRED or not proof.keys() <= _REQUIRED | _OPTIONAL:
        raise BadProof("members of the proof are missing or unknown")
    if proof["type"] != "DataIntegrityProof" or proof["cryptosuite"] != CRYPTOSUITE:
        raise BadProof(f"the proof is not {CRYPTOSUITE}")
    if not all(isinstance(value, str) for name, value in proof.items() if name != "@context"):
        raise BadProof("members of the proof must be strings")
    return proof


def _require_window(proof: Mapping[str, object], now: datetime) -> None:
    if "created" in proof and parse_timestamp(proof["created"]) > now + MAX_FUTURE:
        raise NotYetValid("the proof was created in the future")
    if "expires" in proof and parse_timestamp(proof["expires"]) <= now:
        raise Expired("the proof has expired")


def _signed_context(shown: object, signed: object) -> object:
    shown_list = shown if isinstance(shown, list) else [shown]
    signed_list = signed if isinstance(signed, list) else [signed]
    # Contexts may have been appended after signing; what counts is the list that was signed.
    if shown_list[: len(signed_list)] != signed_list:
        raise BadProof("the document's @context does not begin with the one that was signed")
    return signed


def _signature(proof_value: object) -> bytes:
    if not isinstance(proof_value, str) or not proof_value.startswith("z"):
        raise BadProof("proofValue is not base58btc")
    try:
        signature = multibase.decode(proof_value, max_chars=_PROOF_VALUE_CHARS)
    except BadEncoding as error:
        raise BadProof("proofValue is not base58btc") from error
    if len(signature) != SIGNATURE_BYTES:
        raise BadProof("proofValue is not an Ed25519 signature")
    return signature


def _hash_data(document: Mapping[str, object], proof: Mapping[str, object]) -> bytes:
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    return sha256(canonicalize(config)) + sha256(canonicalize(document))
