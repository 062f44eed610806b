"""DID resolution: did:key and did:jwk say everything themselves, did:web documents arrive as evidence (DID Resolution).

Nothing here fetches: `needs_fetching` says which documents are needed, an adapter brings them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from did_agent.did import jwk, key, web
from did_agent.did.document import DIDDocument, Relationship, require_did, split_method_id
from did_agent.errors import BadDID, KeysUnavailable
from did_agent.keys.public import PublicKey

Documents = Mapping[str, DIDDocument]
NO_DOCUMENTS: Final[Documents] = MappingProxyType({})

_CACHED_DOCUMENTS: Final = 4_096  # these documents never change; a point check costs more than a look-up


def resolve(did: object, documents: Documents = NO_DOCUMENTS) -> DIDDocument:
    """Return the document of a DID; those of did:web come from `documents`.

    Raises: BadDID for other DID methods and malformed identifiers, KeysUnavailable when the document of a did:web was
    not brought.
    """
    if not isinstance(did, str):
        raise BadDID("a DID is a string")
    if did.startswith(web.PREFIX):
        found = documents.get(did)
        if found is None or found.id != did:
            web.did_web_url(require_did(did), allow_loopback=True)  # retrying what cannot be one helps nobody
            raise KeysUnavailable("the document of the did:web is not at hand")
        return found
    return _self_contained(did)


def method_key(
    method_id: object,
    *,
    relationship: Relationship,
    documents: Documents = NO_DOCUMENTS,
    now: datetime | None = None,
) -> tuple[str, PublicKey]:
    """Return the controller and the key of a verification method (Controlled Identifiers 1.0, 3.3).

    Raises: BadDID, WrongKey, KeysUnavailable.
    """
    did, _ = split_method_id(method_id)
    return did, resolve(did, documents).method_for(str(method_id), relationship=relationship, now=now)


def needs_fetching(method_id: object) -> str | None:
    """Return the DID whose document must be fetched before a method of it can be judged, else None.

    Raises: BadDID when `method_id` is no DID URL of a method that is known here.
    """
    did, _ = split_method_id(method_id)
    require_did(did)
    if did.startswith(web.PREFIX):
        web.did_web_url(did, allow_loopback=True)
        return did
    if not did.startswith((key.PREFIX, jwk.PREFIX)):
        raise BadDID("a DID method that is not supported")
    return None


@lru_cache(maxsize=_CACHED_DOCUMENTS)
def _self_contained(did: str) -> DIDDocument:
    if did.startswith(jwk.PREFIX):
        return jwk.did_jwk_document(did)
    return key.did_key_document(did)
