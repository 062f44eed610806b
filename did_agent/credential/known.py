"""Credentials whose signature was verified before: the same bytes are not verified twice.

Only what can never change is remembered: that these bytes are signed by the key inside a did:key or did:jwk.  Time,
trust, links and status are judged anew at every presentation, so a revoked credential is refused all the same; it is
forgotten as well, for nothing about it should linger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from did_agent.credential.model import CapabilityCredential, parse_capability_credential
from did_agent.encoding import jcs
from did_agent.encoding.digest import sha256
from did_agent.proof.data_integrity import VerifiedDocument

MAX_KNOWN: Final = 4_096  # credentials; each holds its document, at most 64 KiB

_SELF_CONTAINED: Final = ("did:key:", "did:jwk:")


class KnownCredentials:
    """A bounded memory of verified credentials, keyed by the digest of the whole document with its proof."""

    def __init__(self, size: int = MAX_KNOWN) -> None:
        self._size = size
        self._found: OrderedDict[bytes, CapabilityCredential] = OrderedDict()

    def read(self, document: Mapping[str, object]) -> CapabilityCredential:
        """Return the typed view of a document, the one made before where the bytes are the same.

        Raises: as `parse_capability_credential`.
        """
        if not self._size:
            return parse_capability_credential(document)
        canonical = jcs.canonicalize(document)
        found = self._found.get(sha256(canonical))
        return parse_capability_credential(document, canonical=canonical) if found is None else found

    def holds(self, credential: CapabilityCredential) -> bool:
        """Say whether this very view came from the memory, signature and all."""
        return self._size > 0 and self._found.get(sha256(credential.canonical)) is credential

    def remember(self, credential: CapabilityCredential, verified: VerifiedDocument) -> None:
        """Keep a credential whose proof was just verified, unless time or others can undo the proof."""
        lasting = "expires" not in verified.proof and verified.controller.startswith(_SELF_CONTAINED)
        if not self._size or not lasting:
            return
        self._found[sha256(credential.canonical)] = credential
        if len(self._found) > self._size:
            self._found.popitem(last=False)

    def forget(self, *identifiers: str) -> None:
        """Drop credentials by their ids, or by the DID of issuer or subject, as revocation names them."""
        named = frozenset(identifiers)
        over = [key for key, held in self._found.items() if {held.id, held.issuer, held.subject} & named]
        for key in over:
            del self._found[key]
