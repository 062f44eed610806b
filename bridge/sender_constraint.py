"""Which key the caller of the token endpoint proves to hold: a DPoP key or a TLS client certificate (TOK-09).

Whoever offers a key gets a token bound to it; nobody is asked whether they would rather have a bearer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bridge.model import OAuthRequest, Resource, Spend
from did_agent.encoding import base64url
from did_agent.errors import InvalidParameter
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.dpop import verify_proof


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderProof:
    """A proven key; believed only once `spend` was consumed."""

    confirmation: Confirmation
    spend: Spend | None


def prove_sender(
    request: OAuthRequest, *, url: str, now: datetime, require_nonce: Callable[[str | None], None] | None
) -> SenderProof | None:
    """Return the key proven by a POST to `url`, or None when none was offered; a DPoP key goes before a certificate.

    Raises: BadDPoPProof, DPoPNonceNeeded.
    """
    if request.dpop:
        proof = verify_proof(
            request.dpop, method="POST", url=url, now=now, access_token=None, require_nonce=require_nonce
        )
        spend = Spend("dpop", proof.replay_key, proof.replay_until)
        return SenderProof(confirmation=proof.confirmation, spend=spend)
    if request.certificate is not None:
        return SenderProof(confirmation=certificate_confirmation(request.certificate), spend=None)
    return None


def certificate_confirmation(der: bytes) -> Confirmation:
    """Return the confirmation of a certificate: the SHA-256 of its DER (RFC 8705, 3.1)."""
    return Confirmation(x5t_s256=base64url.encode(hashlib.sha256(der).digest()))


def require_binding(resource: Resource, confirmation: Confirmation | None) -> None:
    """Return when the resource takes such a token.

    Raises: InvalidParameter when it takes bound tokens alone and no key was proven.
    """
    if resource.binding == "required" and confirmation is None:
        raise InvalidParameter("the resource takes sender-constrained tokens alone: send a DPoP proof")
