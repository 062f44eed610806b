"""DID documents and the retrieval of a verification method (Controlled Identifiers 1.0, sections 2.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from did_agent.errors import BadDID, WrongKey
from did_agent.keys.ed25519 import PublicKey

Relationship = Literal["authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation"]

SIGNATURE_RELATIONSHIPS: Final[tuple[Relationship, ...]] = (
    "authentication",
    "assertionMethod",
    "capabilityInvocation",
    "capabilityDelegation",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationMethod:
    """A public key and who controls it."""

    id: str
    controller: str
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DIDDocument:
    """What a DID resolves to: its methods, and which may be used for what."""

    id: str
    methods: tuple[VerificationMethod, ...]
    relationships: tuple[tuple[Relationship, tuple[str, ...]], ...]

    def method_for(self, method_id: str, *, relationship: Relationship) -> VerificationMethod:
        """Return the method `method_id` if it may be used as `relationship` says.

        Skipping one of these comparisons lets anyone publish a document with somebody else's key (VCX-04).
        Raises: WrongKey.
        """
        found = [method for method in self.methods if method.id == method_id]
        if len(found) != 1 or found[0].controller != self.id:
            raise WrongKey("the verification method is not in its controller's document")
        if method_id not in dict(self.relationships).get(relationship, ()):
            raise WrongKey(f"the verification method is not listed under {relationship}")
        return found[0]


def split_method_id(method_id: object) -> tuple[str, str]:
    """Return the DID and the fragment of a verification method's DID URL.

    Raises: BadDID.
    """
    if not isinstance(method_id, str) or method_id.count("#") != 1:
        raise BadDID("a verification method is a DID URL with one fragment")
    did, fragment = method_id.split("#")
    if not did or not fragment:
        raise BadDID("a verification method is a DID URL with one fragment")
    return did, fragment
