"""Proof values of ecdsa-sd-2023: base proofs for the holder, derived proofs for verifiers (VC-DI-ECDSA 1.0, 3.5).

Each is multibase base64url of three header bytes and one CBOR array of five.  What is read here has its exact shape;
whether it is true is for `selective` to find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeGuard

from did_agent.encoding import base64url, cbor, multibase
from did_agent.errors import BadEncoding, BadKey, BadProof, TooComplex
from did_agent.keys.multikey import multikey_bytes, parse_multikey_bytes
from did_agent.keys.public import PublicKey

MAX_CHARS: Final = 65_536  # of a proofValue (LIM): some 700 statements that can be left out
HMAC_BYTES: Final = 32

_BASE: Final = b"\xd9\x5d\x00"
_DERIVED: Final = b"\xd9\x5d\x01"
_SIGNATURE_BYTES: Final = 64
_COMPONENTS: Final = 5
_Label = str  # a blank node's name, with `_:`


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseValue:
    """What the issuer hands to the holder; the HMAC key is for no verifier."""

    signature: bytes
    proof_key: PublicKey
    hmac_key: bytes = field(repr=False)
    signatures: tuple[bytes, ...]
    mandatory_pointers: tuple[str, ...]

    def encode(self) -> str:
        """Return the `proofValue`.

        Raises: TooComplex when it is longer than anyone would read.
        """
        return _encode(
            _BASE,
            [
                self.signature,
                multikey_bytes(self.proof_key),
                self.hmac_key,
                list(self.signatures),
                list(self.mandatory_pointers),
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedValue:
    """What the holder hands to a verifier."""

    signature: bytes
    proof_key: PublicKey
    signatures: tuple[bytes, ...]
    labels: Mapping[_Label, _Label]  # canonical label in the revealed document to the label that was signed
    mandatory_indexes: tuple[int, ...]

    def encode(self) -> str:
        """Return the `proofValue`.

        Raises: TooComplex.
        """
        return _encode(
            _DERIVED,
            [
                self.signature,
                multikey_bytes(self.proof_key),
                list(self.signatures),
                {int(label.removeprefix("_:c14n")): _hmac_of(signed) for label, signed in self.labels.items()},
                list(self.mandatory_indexes),
            ],
        )


def parse_base_value(text: object) -> BaseValue:
    """Return the content of a base proof.

    Raises: BadProof.
    """
    signature, key, hmac_key, signatures, pointers = _components(text, _BASE, "base")
    if not _is_bytes(hmac_key, HMAC_BYTES):
        raise BadProof(f"the HMAC key is not {HMAC_BYTES} bytes")
    if not isinstance(pointers, list) or not all(isinstance(pointer, str) for pointer in pointers):
        raise BadProof("the mandatory pointers are not texts")
    return BaseValue(
        signature=_signature(signature),
        proof_key=_proof_key(key),
        hmac_key=hmac_key,
        signatures=_signatures(signatures),
        mandatory_pointers=tuple(pointers),
    )


def parse_derived_value(text: object) -> DerivedValue:
    """Return the content of a derived proof; a base proof is none, whoever shows it (VCX-06).

    Raises: BadProof.
    """
    signature, key, signatures, labels, indexes = _components(text, _DERIVED, "derived")
    return DerivedValue(
        signature=_signature(signature),
        proof_key=_proof_key(key),
        signatures=_signatures(signatures),
        labels=_labels(labels),
        mandatory_indexes=_indexes(indexes),
    )


def signed_label(hmac: bytes) -> _Label:
    """Return the name under which a blank node is signed: it tells nothing of how many there are."""
    return "_:" + multibase.encode_base64url(hmac)


def _hmac_of(label: _Label) -> bytes:
    return base64url.decode(label.removeprefix("_:u"))


def _encode(header: bytes, components: list[object]) -> str:
    text = multibase.encode_base64url(header + cbor.encode(components))
    if len(text) > MAX_CHARS:
        raise TooComplex("the proof value is longer than a proof value may be")
    return text


def _components(text: object, header: bytes, kind: str) -> list[object]:
    if not isinstance(text, str) or not text.startswith("u"):
        raise BadProof("proofValue is not base64url multibase")
    try:
        raw = multibase.decode(text, max_chars=MAX_CHARS)
        if not raw.startswith(header):
            raise BadProof(f"proofValue is not one of a {kind} proof")
        found = cbor.decode(raw[len(header) :])
    except BadEncoding as error:
        raise BadProof("proofValue is not canonical base64url and CBOR") from error
    if not isinstance(found, list) or len(found) != _COMPONENTS:
        raise BadProof(f"a {kind} proof has {_COMPONENTS} components")
    return found


def _signature(value: object) -> bytes:
    if not _is_bytes(value, _SIGNATURE_BYTES):
        raise BadProof(f"a signature in proofValue is not {_SIGNATURE_BYTES} bytes")
    return value


def _signatures(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise BadProof("the signatures are not an array")
    return tuple(_signature(item) for item in value)


def _proof_key(value: object) -> PublicKey:
    if not isinstance(value, bytes):
        raise BadProof("the proof key is not bytes")
    try:
        key = parse_multikey_bytes(value)
    except BadKey as error:
        raise BadProof("the proof key is not a public key") from error
    if key.kind != "P-256":
        raise BadProof("the proof key is not of P-256")
    return key


def _labels(value: object) -> dict[_Label, _Label]:
    """Return the map with both sides written out; two nodes under one name would become one."""
    if not isinstance(value, dict):
        raise BadProof("the label map is not a map")
    labels: dict[_Label, _Label] = {}
    for number, digest in value.items():
        if not _is_index(number) or not _is_bytes(digest, HMAC_BYTES):
            raise BadProof("the label map does not map numbers to HMACs")
        labels[f"_:c14n{number}"] = signed_label(digest)
    if len(set(labels.values())) != len(labels):
        raise BadProof("the label map gives one name twice")
    return labels


def _indexes(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(_is_index(item) for item in value):
        raise BadProof("the mandatory indexes are not numbers")
    if any(after <= before for before, after in pairwise(value)):
        raise BadProof("the mandatory indexes do not ascend")
    return tuple(value)


def _is_index(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_bytes(value: object, length: int) -> TypeGuard[bytes]:
    return isinstance(value, bytes) and len(value) == length
