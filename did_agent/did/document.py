"""DID documents and the retrieval of a verification method (Controlled Identifiers 1.0, sections 2.2 and 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadDID, BadDIDDocument, BadKey, BadTimestamp, WrongKey
from did_agent.keys.jwk import PRIVATE_MEMBERS, parse_public_jwk
from did_agent.keys.multikey import parse_ed25519_base58, parse_multikey
from did_agent.keys.public import PublicKey

Relationship = Literal["authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation"]

SIGNATURE_RELATIONSHIPS: Final[tuple[Relationship, ...]] = (
    "authentication",
    "assertionMethod",
    "capabilityInvocation",
    "capabilityDelegation",
)
RELATIONSHIPS: Final = (*SIGNATURE_RELATIONSHIPS, "keyAgreement")
MAX_METHODS: Final = 64  # verification methods of one document
MAX_DID: Final = 2_048  # characters (LIM)

_DID: Final = re.compile(r"did:[a-z0-9]{1,32}:(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})+")
_FRAGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+")
_SECRET: Final = ("secretKey", "privateKey")  # how the names of members with private keys begin
_MATERIAL: Final = ("publicKey", "blockchainAccountId", "ethereumAddress")  # and of those that name a public one
_FORMS: Final[Mapping[str, str]] = {
    "Multikey": "publicKeyMultibase",
    "Ed25519VerificationKey2020": "publicKeyMultibase",
    "Ed25519VerificationKey2018": "publicKeyBase58",
    "JsonWebKey": "publicKeyJwk",
    "JsonWebKey2020": "publicKeyJwk",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationMethod:
    """A public key, who controls it and until when it counts."""

    id: str
    controller: str
    key: PublicKey
    ends: datetime | None = None  # the earlier of `revoked` and `expires`


@dataclass(frozen=True, slots=True, kw_only=True)
class DIDDocument:
    """What a DID resolves to: its methods, and which may be used for what."""

    id: str
    methods: tuple[VerificationMethod, ...]
    relationships: tuple[tuple[Relationship, tuple[str, ...]], ...]
    source: Mapping[str, object] = field(repr=False, compare=False)  # the document as published

    def method_for(self, method_id: str, *, relationship: Relationship, now: datetime | None = None) -> PublicKey:
        """Return the key of method `method_id` if it may be used as `relationship` says.

        Skipping one of these comparisons lets anyone publish a document with somebody else's key (VCX-04).
        Raises: WrongKey.
        """
        found = [method for method in self.methods if method.id == method_id]
        if len(found) != 1 or found[0].controller != self.id:
            raise WrongKey("the verification method is not in its controller's document")
        if method_id not in dict(self.relationships).get(relationship, ()):
            raise WrongKey(f"the verification method is not listed under {relationship}")
        # After that moment the key is nobody's, whatever date the proof gives itself (VCX-16).
        if found[0].ends is not None and (now is None or now >= found[0].ends):
            raise WrongKey("the verification method is revoked or has expired")
        return found[0].key


def require_did(did: object) -> str:
    """Return `did` if it follows the DID syntax (DID Core 1.0, 3.1).

    Raises: BadDID.
    """
    if not isinstance(did, str) or len(did) > MAX_DID or not _DID.fullmatch(did) or did.endswith(":"):
        raise BadDID("not a DID")
    return did


def split_method_id(method_id: object) -> tuple[str, str]:
    """Return the DID and the fragment of a verification method's DID URL.

    Raises: BadDID.
    """
    if not isinstance(method_id, str) or len(method_id) > 2 * MAX_DID or method_id.count("#") != 1:
        raise BadDID("a verification method is a DID URL with one fragment")
    did, fragment = method_id.split("#")
    if not did or not _FRAGMENT.fullmatch(fragment):
        raise BadDID("a verification method is a DID URL with one fragment")
    return did, fragment


def parse_did_document(source: Mapping[str, object], *, expected_id: str) -> DIDDocument:
    """Return a fetched DID document as far as signatures need it (Controlled Identifiers 1.0, 3.3).

    Methods of key types that sign nothing here (agreement keys, unknown curves) are left out: a proof that names
    one is refused as not listed.  A method written inside a relationship counts under that one alone.
    Raises: BadDIDDocument when the document is not about `expected_id`, repeats a method id or publishes a secret.
    """
    if source.get("id") != expected_id:
        raise BadDIDDocument("the document is about another identifier")
    shared = list(_objects(source.get("verificationMethod", []), "verificationMethod"))
    within = {name: list(_entries(source.get(name, []), name)) for name in RELATIONSHIPS}
    listed = [*shared, *(entry for entries in within.values() for entry in entries if isinstance(entry, Mapping))]
    if len(listed) > MAX_METHODS or any(len(entries) > MAX_METHODS for entries in within.values()):
        raise BadDIDDocument(f"more than {MAX_METHODS} verification methods")
    ids = [_id(entry, expected_id) for entry in listed]
    if len(set(ids)) != len(ids):
        raise BadDIDDocument("two verification methods have one id")
    _require_no_secret(listed)
    sharing = frozenset(ids[: len(shared)])
    return DIDDocument(
        id=expected_id,
        methods=tuple(found for entry in listed if (found := _method(entry, expected_id)) is not None),
        relationships=tuple((name, _names(within[name], sharing, expected_id)) for name in SIGNATURE_RELATIONSHIPS),
        source=source,
    )


def _names(entries: Iterable[str | Mapping[str, object]], sharing: frozenset[str], base: str) -> tuple[str, ...]:
    """Return the methods of one relationship; what another one holds inside itself is not taken from there."""
    named = (
        _id(entry, base)
        if isinstance(entry, Mapping)
        else name
        if (name := _absolute(entry, base)) in sharing
        else None
        for entry in entries
    )
    return tuple(name for name in named if name is not None)


def _require_no_secret(methods: Iterable[Mapping[str, object]]) -> None:
    for method in methods:
        jwk = method.get("publicKeyJwk")
        inside = PRIVATE_MEMBERS & jwk.keys() if isinstance(jwk, Mapping) else ()
        if inside or any(name.startswith(_SECRET) for name in method):
            raise BadDIDDocument("a verification method publishes its secret")


def _method(entry: Mapping[str, object], base: str) -> VerificationMethod | None:
    form = _FORMS.get(str(entry.get("type")))
    if form is None or [name for name in entry if name.startswith(_MATERIAL)] != [form]:
        return None  # a type that is not known, or not exactly its own one form: two forms may be two keys
    controller = entry.get("controller")
    if not isinstance(controller, str):
        raise BadDIDDocument("a verification method lacks its controller")
    try:
        ends = [parse_timestamp(entry[name]) for name in ("revoked", "expires") if name in entry]
        key = _key(form, entry[form])
    except BadKey:
        return None
    except BadTimestamp as error:
        raise BadDIDDocument("revoked or expires is not a timestamp") from error
    if str(entry["type"]).startswith("Ed25519") and key.kind != "Ed25519":
        return None
    return VerificationMethod(
        id=_id(entry, base), controller=_absolute(controller, base), key=key, ends=min(ends, default=None)
    )


def _key(form: str, value: object) -> PublicKey:
    if form == "publicKeyJwk":
        return parse_public_jwk(value)
    if not isinstance(value, str):
        raise BadKey(f"{form} is a string")
    return parse_multikey(value) if form == "publicKeyMultibase" else parse_ed25519_base58(value)


def _id(entry: Mapping[str, object], base: str) -> str:
    name = entry.get("id")
    if not isinstance(name, str):
        raise BadDIDDocument("a verification method lacks its id")
    return _absolute(name, base)


def _absolute(name: str, base: str) -> str:
    return base + name if name.startswith("#") else name


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise BadDIDDocument(f"{where} is not an array")
    return value


def _entries(value: object, where: str) -> Iterable[str | Mapping[str, object]]:
    for entry in _list(value, where):
        if not isinstance(entry, str | dict):
            raise BadDIDDocument(f"an entry of {where} names no method")
        yield entry


def _objects(value: object, where: str) -> Iterable[Mapping[str, object]]:
    for entry in _list(value, where):
        if not isinstance(entry, dict):
            raise BadDIDDocument(f"an entry of {where} is not an object")
        yield entry
