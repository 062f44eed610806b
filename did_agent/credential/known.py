"""Credentials and chains that were verified before: the same bytes are not verified twice.

Only what can never change is remembered: that these bytes are signed by the key inside a did:key or did:jwk, and that
each credential of a chain is linked to and covered by the one above it.  Time, trust, depth and status are judged anew
at every presentation, so a revoked credential is refused all the same; it is forgotten as well, with every chain it is
part of, for nothing about it should linger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from did_agent.credential.model import CapabilityCredential, parse_capability_credential
from did_agent.encoding import jcs
from did_agent.encoding.digest import sha256
from did_agent.encoding.strict_json import text_of
from did_agent.proof.data_integrity import VerifiedDocument

MAX_KNOWN: Final = 4_096  # credentials; each holds its document, at most 64 KiB
MAX_CHAINS: Final = 1_024  # chains; what they hold is what the credentials do

_SELF_CONTAINED: Final = ("did:key:", "did:jwk:")


class KnownCredentials:
    """A bounded memory of verified credentials, keyed by the digest of the whole document with its proof."""

    def __init__(self, size: int = MAX_KNOWN) -> None:
        self._size = size
        self._found: OrderedDict[bytes, CapabilityCredential] = OrderedDict()
        self._chains: OrderedDict[bytes, tuple[Any, tuple[CapabilityCredential, ...]]] = OrderedDict()

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

    def find_chain(self, documents: Sequence[Mapping[str, object]]) -> Any | None:
        """Return the chain that was made before of exactly these documents in this order."""
        found = self._chains.get(_name(documents)) if self._chains else None
        # What is returned is what was verified then, whatever else has the same text.
        return None if found is None else found[0]

    def remember_chain(
        self, documents: Sequence[Mapping[str, object]], chain: Any, links: tuple[CapabilityCredential, ...]
    ) -> None:
        """Keep a chain, if what it was made of is kept."""
        if all(map(self.holds, links)):
            self._chains[_name(documents)] = chain, links
            if len(self._chains) > min(self._size, MAX_CHAINS):
                self._chains.popitem(last=False)

    def forget(self, *identifiers: str) -> None:
        """Drop credentials by their ids, or by the DID of issuer or subject, as revocation names them."""
        named = frozenset(identifiers)
        for key in [key for key, held in self._found.items() if _speaks_of(held, named)]:
            del self._found[key]
        for key in [key for key, (_, links) in self._chains.items() if any(_speaks_of(one, named) for one in links)]:
            del self._chains[key]


def _speaks_of(held: CapabilityCredential, named: frozenset[str]) -> bool:
    return held.id in named or held.issuer in named or held.subject in named


def _name(documents: Sequence[Mapping[str, object]]) -> bytes:
    return sha256(text_of(documents) or b"")  # no chain is empty
