"""VC Data Integrity 1.0: proofs on JSON documents, one by one, in sets and in chains (section 4)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import format_timestamp
from did_agent.did.document import Relationship
from did_agent.did.resolve import NO_DOCUMENTS, Documents, method_key
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadProof, Expired, NotYetValid, WrongAudience, WrongChallenge, WrongPurpose
from did_agent.keys.public import SigningKey
from did_agent.proof.cryptosuite import HASH_AND_SIGN, Cryptosuite, find_suite

DEFAULT_SUITE: Final = "eddsa-jcs-2022"
# A tuple, since a set cannot be asked for a list, which `cryptosuite` may be.
WHOLE_DOCUMENT: Final = tuple(HASH_AND_SIGN)  # suites that sign every member and let none be left out
MAX_FUTURE: Final = timedelta(minutes=5)  # how far ahead of us a signer's clock may run
MAX_PROOFS: Final = 4  # of one document (LIM)

_REQUIRED: Final = frozenset({"type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"})
_OPTIONAL: Final = frozenset({"@context", "id", "created", "expires", "domain", "challenge", "nonce"})
_STRUCTURED: Final = frozenset({"@context", "domain", "previousProof"})  # the others are strings


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
    cryptosuite: str | Cryptosuite = DEFAULT_SUITE,
    challenge: str | None = None,
    domain: str | None = None,
    expires: datetime | None = None,
) -> dict[str, object]:
    """Return the document with a proof by `key` (VC Data Integrity 1.0, 4.2).

    Raises: BadProof when it already carries one or has no canonical form, WrongKey when the suite is not for `key`,
    DataLoss when a member has no meaning under its context, TooComplex.
    """
    if "proof" in document:
        raise BadProof("the document is already secured")
    suite = find_suite(cryptosuite) if isinstance(cryptosuite, str) else cryptosuite
    proof = _options(document, suite.name, verification_method, purpose, created)
    optional = {"challenge": challenge, "domain": domain, "expires": expires and format_timestamp(expires)}
    proof.update({name: value for name, value in optional.items() if value is not None})
    proof["proofValue"] = suite.sign(document, proof, key)
    return {**document, "proof": proof}


def extend_proofs(
    secured: Mapping[str, object],
    key: SigningKey,
    *,
    purpose: Relationship,
    created: datetime,
    verification_method: str,
    cryptosuite: str = DEFAULT_SUITE,
    id: str | None = None,  # noqa: A002 - the standard's name of the member
    previous: Sequence[str] = (),
) -> dict[str, object]:
    """Return a document with one proof more; it also signs the proofs that `previous` names (4.3, 4.5).

    Raises: BadProof and what `add_proof` raises.
    """
    proofs = _proofs(secured.get("proof", []))
    if len(proofs) >= MAX_PROOFS:
        raise BadProof(f"a document has at most {MAX_PROOFS} proofs")
    document = {name: value for name, value in secured.items() if name != "proof"}
    proof = _options(document, cryptosuite, verification_method, purpose, created)
    proof |= {"id": id} if id is not None else {}
    proof |= {"previousProof": list(previous)} if previous else {}
    proof["proofValue"] = find_suite(cryptosuite).sign(_with_previous(document, proof, proofs), proof, key)
    return {**document, "proof": [*proofs, proof]}


def verify_proof(
    secured: Mapping[str, object],
    *,
    expected_purpose: Relationship,
    now: datetime,
    documents: Documents = NO_DOCUMENTS,
    suites: Container[object] = WHOLE_DOCUMENT,
) -> VerifiedDocument:
    """Return what the one proof of a document secures (VC Data Integrity 1.0, 4.4).

    Sets and chains are not part of this profile (VCX-06), nor is selective disclosure unless `suites` says so: what a
    holder may leave out could be the restriction that matters.  Who signed is `controller`; whether that is who had
    to sign is the caller's question.
    Raises: BadProof, WrongPurpose, WrongKey, BadDID, BadSignature, Expired, NotYetValid, DataLoss, TooComplex,
    KeysUnavailable.
    """
    proof = secured.get("proof")
    if not isinstance(proof, dict):
        raise BadProof("exactly one proof object is expected")
    if "previousProof" in proof:
        raise BadProof("members of the proof are missing or unknown")
    if proof.get("cryptosuite") not in suites:
        raise BadProof("the proof's cryptosuite is not accepted here")
    document = {name: value for name, value in secured.items() if name != "proof"}
    return _verify_one(secured, document, proof, expected_purpose, now, documents)


def verify_proof_set(
    secured: Mapping[str, object],
    *,
    expected_purpose: Relationship,
    now: datetime,
    documents: Documents = NO_DOCUMENTS,
) -> tuple[VerifiedDocument, ...]:
    """Return what each proof of a document secures; every one of them must verify (4.4, 4.5).

    A proof with `previousProof` also signs the proofs it names: a missing, repeated or circular one is refused.
    Raises: as `verify_proof`.
    """
    proofs = _proofs(secured.get("proof"))
    if not proofs:
        raise BadProof("the document carries no proof")
    document = {name: value for name, value in secured.items() if name != "proof"}
    _require_order(proofs)
    return tuple(
        _verify_one(secured, _with_previous(document, proof, proofs), proof, expected_purpose, now, documents)
        for proof in proofs
    )


def proof_methods(secured: Mapping[str, object]) -> tuple[str, ...]:
    """Return the verification methods that the proofs of a document name, before anything is believed.

    Raises: BadProof.
    """
    named = [proof.get("verificationMethod") for proof in _proofs(secured.get("proof", []))]
    if not all(isinstance(method, str) for method in named):
        raise BadProof("verificationMethod is not a string")
    return tuple(str(method) for method in named)


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


def _options(
    document: Mapping[str, object], cryptosuite: str, method: str, purpose: Relationship, created: datetime
) -> dict[str, object]:
    proof: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": cryptosuite,
        "created": format_timestamp(created),
        "verificationMethod": method,
        "proofPurpose": purpose,
    }
    # The JCS suites sign the context with the proof; the others take it from the document.
    if "-jcs-" in cryptosuite and "@context" in document:
        proof["@context"] = document["@context"]
    return proof


def _verify_one(
    secured: Mapping[str, object],
    document: Mapping[str, object],
    proof: Mapping[str, object],
    expected_purpose: Relationship,
    now: datetime,
    documents: Documents,
) -> VerifiedDocument:
    _require_shape(proof)
    # The expectation never comes from the proof itself (VCX-04).
    if proof["proofPurpose"] != expected_purpose:
        raise WrongPurpose(f"proof purpose is not {expected_purpose}")
    _require_window(proof, now)
    suite = find_suite(proof["cryptosuite"])
    controller, key = method_key(
        proof["verificationMethod"], relationship=expected_purpose, documents=documents, now=now
    )
    signed = suite.verify(document, proof, key)
    if "proof" in signed:  # the proofs it was chained to
        signed = {name: value for name, value in signed.items() if name != "proof"}
    return VerifiedDocument(document=signed, secured=secured, controller=controller, proof=proof)


def _require_shape(proof: Mapping[str, object]) -> None:
    if not proof.keys() >= _REQUIRED or not proof.keys() <= _REQUIRED | _OPTIONAL | {"previousProof"}:
        raise BadProof("members of the proof are missing or unknown")
    if proof["type"] != "DataIntegrityProof":
        raise BadProof("the proof is not a DataIntegrityProof")
    if not all(isinstance(value, str) for name, value in proof.items() if name not in _STRUCTURED):
        raise BadProof("members of the proof must be strings")
    domain = proof.get("domain", "")
    if not isinstance(domain, str) and not _are_strings(domain):
        raise BadProof("domain is neither a string nor a set of strings")


def _require_window(proof: Mapping[str, object], now: datetime) -> None:
    if "created" in proof and parse_timestamp(proof["created"]) > now + MAX_FUTURE:
        raise NotYetValid("the proof was created in the future")
    if "expires" in proof and parse_timestamp(proof["expires"]) <= now:
        raise Expired("the proof has expired")


# ---- sets and chains


def _proofs(value: object) -> Sequence[Mapping[str, object]]:
    listed = value if isinstance(value, list) else [value]
    proofs = [proof for proof in listed if isinstance(proof, dict)]
    if len(listed) > MAX_PROOFS or len(proofs) != len(listed):
        raise BadProof(f"a document carries proof objects, at most {MAX_PROOFS}")
    ids = [proof["id"] for proof in proofs if "id" in proof]
    if not all(isinstance(name, str) for name in ids) or len(set(ids)) != len(ids):
        raise BadProof("the ids of proofs are distinct strings")
    return proofs


def _with_previous(
    document: Mapping[str, object], proof: Mapping[str, object], proofs: Sequence[Mapping[str, object]]
) -> Mapping[str, object]:
    """Return what a proof signs: the document, together with the proofs that `previousProof` names (4.5)."""
    if "previousProof" not in proof:
        return document
    wanted = _previous(proof)
    matching = [other for other in proofs if other.get("id") in wanted]
    if len(matching) != len(wanted) or not wanted:
        raise BadProof("previousProof names a proof that is not there")
    return {**document, "proof": matching}


def _require_order(proofs: Sequence[Mapping[str, object]]) -> None:
    """Refuse circles: of a proof that is signed by another, the other comes later."""
    waiting = list(proofs)
    known: set[object] = set()
    while waiting:
        ready = [proof for proof in waiting if "previousProof" not in proof or set(_previous(proof)) <= known]
        if not ready:
            raise BadProof("previousProof names a proof that is not there, or itself")
        known |= {proof.get("id") for proof in ready}
        waiting = [proof for proof in waiting if not any(proof is done for done in ready)]


def _previous(proof: Mapping[str, object]) -> tuple[str, ...]:
    named = proof["previousProof"]
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not _are_strings(listed):
        raise BadProof("previousProof is neither an id nor a list of ids")
    return tuple(dict.fromkeys(listed))


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_PROOFS and all(isinstance(item, str) for item in value)
