"""Vouch: eddsa-jcs-2022 only, and no presentations: the proofs of ours and of its credential, one after the other."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from protocol import MATERIAL, serve
from vouch.data_integrity import build_proof, verify_proof


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(MATERIAL[name] + "=="))


ISSUER, HOLDER = _key("issuerSeed"), _key("holderSeed")
SHOWN: dict[str, Any] = MATERIAL["presentations"]["jcs"]
METHOD = f"{MATERIAL['issuer']}#{MATERIAL['issuer'].removeprefix('did:key:')}"


def verify() -> None:
    if not verify_proof(SHOWN, HOLDER.public_key()):
        raise ValueError("the presentation")
    if not verify_proof(SHOWN["verifiableCredential"][0], ISSUER.public_key()):
        raise ValueError("the credential")


serve(
    {
        "verify jcs": verify,
        "issue jcs": lambda: build_proof(MATERIAL["credential"], ISSUER, METHOD),
    }
)
