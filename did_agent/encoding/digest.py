"""SHA-256 digests in the three spellings the standards use."""

from __future__ import annotations

import hashlib
from typing import Final

from did_agent.encoding import base64url, multibase

_SHA2_256: Final = b"\x12\x20"  # multihash prefix: sha2-256, 32 bytes


def sha256(raw: bytes) -> bytes:
    """Return the 32 bytes of SHA-256."""
    return hashlib.sha256(raw).digest()


def digest_uri(raw: bytes) -> str:
    """Return `sha-256:<base64url>`, the spelling of evidence and argument digests."""
    return "sha-256:" + base64url.encode(sha256(raw))


def digest_multibase(raw: bytes) -> str:
    """Return the `digestMultibase` of VCDM 2.0: a base64url multibase of the sha2-256 multihash."""
    return multibase.encode_base64url(_SHA2_256 + sha256(raw))
