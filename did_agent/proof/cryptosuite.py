"""Cryptosuites that hash and sign: how a document and its proof options become bytes, and which keys may sign them.

VC-DI-EdDSA 1.0 (3.2, 3.3) and VC-DI-ECDSA 1.0 (3.2, 3.3).  One interface: a suite signs a document, or verifies it
and returns what was signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from did_agent.encoding import multibase
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadEncoding, BadProof, WrongKey
from did_agent.keys.public import KeyKind, PublicKey, SigningKey

JSONObject = Mapping[str, object]

_SIGNATURE_BYTES: Final[dict[KeyKind, int]] = {"Ed25519": 64, "P-256": 64, "P-384": 96}
_HASHES: Final[dict[KeyKind, str]] = {"Ed25519": "sha256", "P-256": "sha256", "P-384": "sha384"}
_HASH: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}
_MAX_PROOF_VALUE: Final = 136  # "z" and at most 135 base58 characters for the 96 bytes of P-384


class Cryptosuite(Protocol):
    """What `data_integrity` asks of a suite; key and document are its whole world."""

    @property
    def name(self) -> str:
        """The `cryptosuite` member."""

    def sign(self, document: JSONObject, options: JSONObject, key: SigningKey) -> str:
        """Return the `proofValue` for an unsecured document and a proof without one.

        Raises: WrongKey, BadProof, DataLoss, TooComplex.
        """

    def verify(self, document: JSONObject, proof: JSONObject, key: PublicKey) -> JSONObject:
        """Return the document that was signed.

        Raises: WrongKey, BadProof, BadSignature, DataLoss, TooComplex.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class HashAndSign:
    """A suite that signs hash(options) || hash(document), each in its canonical form."""

    name: str
    kinds: frozenset[KeyKind]
    _options: Callable[[JSONObject, JSONObject], JSONObject]  # what of the options is hashed, given the document
    _signed: Callable[[JSONObject, JSONObject], JSONObject]  # the document the proof speaks of
    _canonical: Callable[[JSONObject, str], bytes]

    def sign(self, document: JSONObject, options: JSONObject, key: SigningKey) -> str:
        """See `Cryptosuite.sign`."""
        self._require_kind(key.public)
        return multibase.encode_base58btc(key.sign(self.hash_data(document, options, key.public.kind)))

    def verify(self, document: JSONObject, proof: JSONObject, key: PublicKey) -> JSONObject:
        """See `Cryptosuite.verify`."""
        self._require_kind(key)
        signature = _decode_signature(proof["proofValue"], key.kind)
        signed = self._signed(document, proof)
        key.verify(self.hash_data(signed, proof, key.kind), signature)
        return signed

    def hash_data(self, document: JSONObject, proof: JSONObject, kind: KeyKind) -> bytes:
        """Return what the key signs; the curve, never the proof, chooses the hash.

        Raises: BadProof when document or options have no canonical form, DataLoss, TooComplex.
        """
        options = {name: value for name, value in proof.items() if name != "proofValue"}
        digest = _HASHES[kind]
        try:
            first = self._canonical(self._options(options, document), digest)
            second = self._canonical(document, digest)
        except BadEncoding as error:
            raise BadProof("the document has no canonical form") from error
        hashed = _HASH[digest]
        return hashed(first).digest() + hashed(second).digest()

    def _require_kind(self, key: PublicKey) -> None:
        if key.kind not in self.kinds:
            raise WrongKey(f"{self.name} is not for keys of {key.kind}")


def _decode_signature(proof_value: object, kind: KeyKind) -> bytes:
    if not isinstance(proof_value, str) or not proof_value.startswith("z"):
        raise BadProof("proofValue is not base58btc")
    try:
        signature = multibase.decode(proof_value, max_chars=_MAX_PROOF_VALUE)
    except BadEncoding as error:
        raise BadProof("proofValue is not base58btc") from error
    if len(signature) != _SIGNATURE_BYTES[kind]:
        raise BadProof(f"proofValue is not a signature of {kind}")
    return signature


# ---- JCS: the options carry the context that was signed


def _own_options(options: JSONObject, _document: JSONObject) -> JSONObject:
    return options


def _under_proof_context(document: JSONObject, proof: JSONObject) -> JSONObject:
    """Return the document as it was signed: contexts may have been appended since (VC-DI-EdDSA 1.0, 3.3.2)."""
    if "@context" not in proof:
        return document
    shown, signed = document.get("@context"), proof["@context"]
    shown_list = shown if isinstance(shown, list) else [shown]
    signed_list = signed if isinstance(signed, list) else [signed]
    if shown_list[: len(signed_list)] != signed_list:
        raise BadProof("the document's @context does not begin with the one that was signed")
    return document if shown == signed else {**document, "@context": signed}


def _jcs(document: JSONObject, _digest: str) -> bytes:
    return canonicalize(document)


# ---- RDFC: the options are read under the document's context


def _document_context(options: JSONObject, document: JSONObject) -> JSONObject:
    return {**options, "@context": document["@context"]} if "@context" in document else options


def _as_shown(document: JSONObject, _proof: JSONObject) -> JSONObject:
    return document


def _rdfc(document: JSONObject, digest: str) -> bytes:
    # Loaded when a proof of this kind is met: most verifications never need it.
    from did_agent.encoding.jsonld import canonical_nquads

    return canonical_nquads(document, digest)


def _suite(name: str, kinds: frozenset[KeyKind]) -> HashAndSign:
    if "-jcs-" in name:
        return HashAndSign(name=name, kinds=kinds, _options=_own_options, _signed=_under_proof_context, _canonical=_jcs)
    return HashAndSign(name=name, kinds=kinds, _options=_document_context, _signed=_as_shown, _canonical=_rdfc)


_ED25519: Final[frozenset[KeyKind]] = frozenset({"Ed25519"})
_EC: Final[frozenset[KeyKind]] = frozenset({"P-256", "P-384"})

HASH_AND_SIGN: Final[Mapping[str, HashAndSign]] = {
    name: _suite(name, kinds)
    for name, kinds in (
        ("eddsa-jcs-2022", _ED25519),
        ("eddsa-rdfc-2022", _ED25519),
        ("ecdsa-jcs-2019", _EC),
        ("ecdsa-rdfc-2019", _EC),
    )
}
SELECTIVE: Final = "ecdsa-sd-2023"
CRYPTOSUITES: Final = frozenset(HASH_AND_SIGN) | {SELECTIVE}


def default_suite(key: PublicKey) -> str:
    """Return the suite that we issue with: what is read is byte for byte what was signed."""
    return "eddsa-jcs-2022" if key.kind == "Ed25519" else "ecdsa-jcs-2019"


def find_suite(name: object) -> Cryptosuite:
    """Return the suite of that name.

    Raises: BadProof.
    """
    if isinstance(name, str):
        found = HASH_AND_SIGN.get(name)
        if found is not None:
            return found
        if name == SELECTIVE:
            from did_agent.proof.selective import SelectiveDisclosure

            return SelectiveDisclosure()
    raise BadProof(f"the proof's cryptosuite is not one of {', '.join(sorted(CRYPTOSUITES))}")
