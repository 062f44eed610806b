"""Handovers between the keys of an issuer: the key before says, once and for good, which one signs after it.

A compact JWS of our own (`typ` `issuer-handover+jwt`), by the key before, with exactly these claims: `iss` its DID,
`successor` the DID of the key after, and `iat`.  It has no end: readers that were set up with an older key find the way
to the one that signs now, however long ago that was, until somebody tells them that a key on the way has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.did.document import split_method_id
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.errors import BadJOSE, WrongIssuer, WrongType
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import sign_jwt, unverified_jws

TYPE: Final = "issuer-handover+jwt"
MAX_HANDOVERS: Final = 64  # on the way from the first key of an issuer to the last
MAX_BYTES: Final = 2_048
_CLAIMS: Final = frozenset({"iss", "successor", "iat"})


def make_handover(key: SigningKey, *, successor: str, now: datetime) -> str:
    """Return the statement of `key` that `successor` signs after it."""
    did = did_key(key.public)
    claims = {"iss": did, "successor": successor, "iat": numeric_date(now)}
    return sign_jwt(claims, typ=TYPE, key=key, kid=verification_method(did))


def successors(
    handovers: Sequence[str], *, anchors: frozenset[str], ended: Collection[str] = (), known: Collection[str] = ()
) -> frozenset[str]:
    """Return the anchors and all that came after them, in the order of the statements.

    A key that has `ended` hands over to nobody new: of it the statements count that were `known` when it ended.
    Raises: BadJOSE, TooLarge, BadDID, WrongAlgorithm, WrongType, WrongIssuer, BadSignature.
    """
    reached = set(anchors)
    for text in handovers:
        before, after = _read(text)
        if before in reached and (before not in ended or text in known):
            reached.add(after)
    return frozenset(reached)


def _read(text: str) -> tuple[str, str]:
    jws, claims = unverified_jws(text, max_bytes=MAX_BYTES)
    if jws.type != TYPE:
        raise WrongType("typ is not that of a handover")
    before, after = claims.get("iss"), claims.get("successor")
    if claims.keys() != _CLAIMS or not isinstance(after, str) or not isinstance(before, str):
        raise BadJOSE("a handover has exactly its own claims")
    signer, _ = split_method_id(jws.header.get("kid"))
    if before != signer or jws.header.get("kid") != verification_method(signer):
        raise WrongIssuer("a handover is signed by the key before")
    parse_did_key(after)
    verify_signature(jws, parse_did_key(signer))
    return before, after
