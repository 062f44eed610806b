"""Which keys the caller of a resource proved to hold, before its token is believed (RFC 9449, 7; RFC 8705, 3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.encoding import base64url
from did_agent.errors import BadDPoPProof
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.dpop import DPoPProof, verify_proof
from did_agent.tokens.nonces import NonceRing
from verifier.http import Shown
from verifier.model import SingleUse

_PURPOSE: Final = "dpop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenKeys:
    """What a caller proved; `proof` is still to be spent."""

    confirmations: frozenset[Confirmation]
    proof: DPoPProof | None


_NOTHING: Final = ProvenKeys(confirmations=frozenset(), proof=None)


def prove_keys(shown: Shown, *, now: datetime, nonces: NonceRing | None = None) -> ProvenKeys:
    """Return the keys a request proves; with `nonces` a DPoP proof must carry one of them (RFC 9449, 9).

    Raises: BadDPoPProof, DPoPNonceNeeded.
    """
    if shown.scheme != "dpop" and shown.certificate is None:
        return _NOTHING
    confirmations = _certificate_of(shown)
    if shown.scheme != "dpop":
        # A proof beside a Bearer credential counts for nothing: the scheme says what the caller means (RFC 9449, 7.2).
        return ProvenKeys(confirmations=confirmations, proof=None)
    proof = verify_proof(
        shown.proofs,
        method=shown.method,
        url=shown.url,
        now=now,
        access_token=shown.credential,
        require_nonce=None if nonces is None else lambda nonce: nonces.require(nonce, now),
    )
    return ProvenKeys(confirmations=confirmations | {proof.confirmation}, proof=proof)


def offered_keys(shown: Shown, *, now: datetime, nonces: NonceRing | None = None) -> ProvenKeys:
    """Return the keys that a request proves which shows no credential yet, and wants one bound to them.

    Raises: BadDPoPProof, DPoPNonceNeeded.
    """
    confirmations = _certificate_of(shown)
    if not shown.proofs:
        return ProvenKeys(confirmations=confirmations, proof=None)
    proof = verify_proof(
        shown.proofs,
        method=shown.method,
        url=shown.url,
        now=now,
        access_token=None,
        require_nonce=None if nonces is None else lambda nonce: nonces.require(nonce, now),
    )
    return ProvenKeys(confirmations=confirmations | {proof.confirmation}, proof=proof)


def require_bound(confirmation: Confirmation | None, proven: ProvenKeys) -> None:
    """Return unless the DPoP scheme was used for a token that is bound to no DPoP key (RFC 9449, 7.1).

    Raises: BadDPoPProof.
    """
    if proven.proof is not None and confirmation != proven.proof.confirmation:
        raise BadDPoPProof("the token is not bound to the key of the proof")


def single_use(proven: ProvenKeys) -> tuple[SingleUse, ...]:
    """Return what must still be spent of a proof (RFC 9449, 11.1)."""
    proof = proven.proof
    if proof is None:
        return ()
    once = SingleUse(purpose=_PURPOSE, key=proof.replay_key, expires=proof.replay_until, refusal=BadDPoPProof)
    return (once,)


def _certificate_of(shown: Shown) -> frozenset[Confirmation]:
    if shown.certificate is None:
        return frozenset()
    return frozenset({Confirmation(x5t_s256=base64url.encode(hashlib.sha256(shown.certificate).digest()))})
