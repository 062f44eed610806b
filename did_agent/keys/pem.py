"""Ed25519 private keys as PKCS#8 PEM (RFC 8410, section 7), for stock JWT libraries."""

from __future__ import annotations

import base64
from typing import Final

from did_agent.keys.ed25519 import SigningKey

# SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32) } }
_PREFIX: Final = bytes.fromhex("302e020100300506032b657004220420")


def private_key_pem(key: SigningKey) -> str:
    """Return the key as unencrypted PKCS#8 PEM; treat it as the secret it is."""
    body = base64.b64encode(_PREFIX + key.seed()).decode("ascii")
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
