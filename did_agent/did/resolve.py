"""DID resolution without a network: did:key resolves to what it says itself (DID Resolution, section 4)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from did_agent.did.document import (
    SIGNATURE_RELATIONSHIPS,
    DIDDocument,
    Relationship,
    VerificationMethod,
    split_method_id,
)
from did_agent.did.key import parse_did_key, verification_method
from did_agent.errors import BadDID
from did_agent.keys.ed25519 import PublicKey

_CACHED_DOCUMENTS: Final = 4_096  # did:key documents never change; a point check costs more than a look-up


def resolve(did: object) -> DIDDocument:
    """Return the document of a did:key.

    Raises: BadDID, also for every other DID method.
    """
    if not isinstance(did, str):
        raise BadDID("a DID is a string")
    return _resolve_key(did)


def method_key(method_id: object, *, relationship: Relationship) -> tuple[str, PublicKey]:
    """Return the controller and the key of a verification method (Controlled Identifiers 1.0, 3.3).

    Raises: BadDID, WrongKey.
    """
    did, _ = split_method_id(method_id)
    method = resolve(did).method_for(str(method_id), relationship=relationship)
    return method.controller, method.key


@lru_cache(maxsize=_CACHED_DOCUMENTS)
def _resolve_key(did: str) -> DIDDocument:
    method = VerificationMethod(id=verification_method(did), controller=did, key=parse_did_key(did))
    return DIDDocument(
        id=did,
        methods=(method,),
        relationships=tuple((relationship, (method.id,)) for relationship in SIGNATURE_RELATIONSHIPS),
    )
