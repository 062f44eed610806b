"""ecdsa-sd-2023: the issuer signs each statement, the holder shows the ones needed (VC-DI-ECDSA 1.0, 3.6).

A base proof goes to the holder and verifies nowhere; from it the holder derives proofs that do.  What the issuer
declared mandatory is in each of them, and whoever reads two of them can tell that they are one credential: nothing
here hides who the holder is.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from did_agent.encoding.digest import sha256
from did_agent.encoding.jsonld import canonical_nquads
from did_agent.encoding.rdfc import canonicalize
from did_agent.errors import BadEncoding, BadProof, WrongKey
from did_agent.keys.multikey import generate_key, multikey_bytes
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.proof.json_pointer import has_value, select
from did_agent.proof.selective_groups import Statements, document_quads, relabelled, statements
from did_agent.proof.selective_value import (
    HMAC_BYTES,
    BaseValue,
    DerivedValue,
    parse_base_value,
    parse_derived_value,
)

JSONObject = Mapping[str, object]

NAME: Final = "ecdsa-sd-2023"
# Without these a holder could hide who issued a credential, to whom, for how long, and that it was revoked.  The
# two dates are those of VCDM 1.1.
DEFAULT_POINTERS: Final = (
    "/issuer",
    "/validFrom",
    "/validUntil",
    "/issuanceDate",
    "/expirationDate",
    "/credentialStatus",
    "/credentialSubject/id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectiveDisclosure:
    """The suite; `mandatory_pointers` are what every derived proof shows, by default `DEFAULT_POINTERS`."""

    mandatory_pointers: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """See `Cryptosuite.name`."""
        return NAME

    def sign(self, document: JSONObject, options: JSONObject, key: SigningKey) -> str:
        """Return the `proofValue` of a base proof, with a proof key and an HMAC key of its own (3.6.1 to 3.6.5).

        Raises: WrongKey, BadProof for a mandatory pointer that leads nowhere, UnknownContext, DataLoss, TooComplex.
        """
        pointers = self.mandatory_pointers
        if pointers is None:
            pointers = [pointer for pointer in DEFAULT_POINTERS if has_value(document, pointer)]
        return base_value(
            document,
            options,
            key,
            mandatory_pointers=pointers,
            hmac_key=secrets.token_bytes(HMAC_BYTES),
            proof_key=generate_key("P-256"),
        ).encode()

    def verify(self, document: JSONObject, proof: JSONObject, key: PublicKey) -> JSONObject:
        """Return the revealed document when all of it was signed and nothing mandatory is missing (3.6.7).

        Raises: WrongKey, BadProof, BadSignature, UnknownContext, DataLoss, TooComplex.
        """
        _require_kind(key)
        value = parse_derived_value(proof.get("proofValue"))
        mandatory, others = _revealed(document, value)
        if len(others) != len(value.signatures):
            raise BadProof("not exactly one signature for each statement")
        key.verify(_signed(_config_hash(document, proof), value.proof_key, mandatory), value.signature)
        for text, signature in zip(others, value.signatures, strict=True):
            value.proof_key.verify(_utf8(text), signature)
        return document


def base_value(
    document: JSONObject,
    options: JSONObject,
    key: SigningKey,
    *,
    mandatory_pointers: Sequence[str],
    hmac_key: bytes,
    proof_key: SigningKey,
) -> BaseValue:
    """Return a base proof made with the keys given; both must be fresh for each credential.

    Raises: as `SelectiveDisclosure.sign`.
    """
    _require_kind(key.public)
    _require_kind(proof_key.public)
    # Looked up in the document as it is: the pointers are the issuer's, the one who reads them has this document.
    select(document, mandatory_pointers)
    whole = statements(document, hmac_key)
    required = set(whole.part(mandatory_pointers).indexes)
    mandatory = [text for at, text in enumerate(whole.lines) if at in required]
    others = [text for at, text in enumerate(whole.lines) if at not in required]
    return BaseValue(
        signature=key.sign(_signed(_config_hash(document, options), proof_key.public, mandatory)),
        proof_key=proof_key.public,
        hmac_key=hmac_key,
        signatures=tuple(proof_key.sign(_utf8(text)) for text in others),
        mandatory_pointers=tuple(mandatory_pointers),
    )


def derive(secured: JSONObject, selective_pointers: Sequence[str]) -> dict[str, object]:
    """Return a document that shows what is mandatory and what the pointers select, with a derived proof (3.6.6).

    Raises: BadProof when the document has no base proof, a pointer leads nowhere or nothing would be shown,
    UnknownContext, DataLoss, TooComplex.
    """
    proof = secured.get("proof")
    if not isinstance(proof, dict) or proof.get("cryptosuite") != NAME:
        raise BadProof(f"exactly one proof of {NAME} is expected")
    base = parse_base_value(proof.get("proofValue"))
    document = {name: value for name, value in secured.items() if name != "proof"}
    whole = statements(document, base.hmac_key)
    required = whole.part(base.mandatory_pointers).indexes
    pointers = [*base.mandatory_pointers, *selective_pointers]
    shown = whole.part(pointers)
    if not shown.indexes:
        raise BadProof("nothing is mandatory and nothing was selected")
    value = DerivedValue(
        signature=base.signature,
        proof_key=base.proof_key,
        signatures=_kept(base, whole, set(required), set(shown.indexes)),
        # The verifier names the nodes of what it sees anew, and the map leads from there to the names that were signed.
        labels={new: whole.labels[old] for old, new in canonicalize(shown.quads).labels.items()},
        # Relative to what is shown: the verifier cannot count what it does not see.
        mandatory_indexes=tuple(at for at, index in enumerate(shown.indexes) if index in set(required)),
    )
    return {**select(document, pointers), "proof": {**proof, "proofValue": value.encode()}}


def _kept(base: BaseValue, whole: Statements, required: set[int], shown: set[int]) -> tuple[bytes, ...]:
    optional = [index for index in range(len(whole.lines)) if index not in required]
    if len(optional) != len(base.signatures):
        raise BadProof("not exactly one signature for each statement")
    return tuple(signature for index, signature in zip(optional, base.signatures, strict=True) if index in shown)


def _revealed(document: JSONObject, value: DerivedValue) -> tuple[list[str], list[str]]:
    """Return the mandatory and the other statements of a revealed document, under the names that were signed."""
    quads = document_quads(document)
    labels = canonicalize(quads).labels
    if set(labels.values()) != set(value.labels):
        raise BadProof("the label map is not one of this document")
    names = {label: value.labels[canonical] for label, canonical in labels.items()}
    lines = sorted({relabelled(quad, names) for quad in quads})
    if value.mandatory_indexes and value.mandatory_indexes[-1] >= len(lines):
        raise BadProof("a mandatory index beyond the last statement")
    required = set(value.mandatory_indexes)
    return (
        [text for at, text in enumerate(lines) if at in required],
        [text for at, text in enumerate(lines) if at not in required],
    )


def _signed(config_hash: bytes, proof_key: PublicKey, mandatory: Sequence[str]) -> bytes:
    """Return what the issuer's own key signs: the proof's options, the proof key, and what is mandatory (3.5.1)."""
    return config_hash + multikey_bytes(proof_key) + sha256(_utf8("".join(mandatory)))


def _config_hash(document: JSONObject, proof: JSONObject) -> bytes:
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    if "@context" in document:
        config["@context"] = document["@context"]
    try:
        return sha256(canonical_nquads(config))
    except BadEncoding as error:
        raise BadProof("the proof has no canonical form") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadProof("a lone surrogate in a literal") from error


def _require_kind(key: PublicKey) -> None:
    if key.kind != "P-256":
        raise WrongKey(f"{NAME} is for keys of P-256")
