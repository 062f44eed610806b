"""Continuity of an agent's identity over its keys: the key before says which one comes after, and both sign.

A compact JWS of our own (`typ` `agent-continuity+jwt`), by the key before, with exactly these claims: `iss` its DID,
`sub` the agent's id at the issuer, `aud` that issuer's URL, `successor` the DID of the key after, `iat`, `exp` and
`jti`.  The key after answers with an empty single-use presentation to the same audience whose `nonce` is the digest of
the statement, so that nobody can make another's key his own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.did.resolve import method_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, WrongKey
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt, unverified_jws, verify_jwt
from did_agent.tokens.profiles import CONTINUITY

TYPE: Final = "agent-continuity+jwt"
LIFETIME: Final = 300  # seconds
_FAR: Final = 253_402_300_800  # the year 10000, in seconds: no later moment can be written
_CLAIMS: Final = frozenset({"iss", "sub", "aud", "successor", "iat", "exp", "jti"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """What the key before said; whoever takes it still asks the key after and spends `id`."""

    agent_id: str
    before: str  # DID
    after: str  # DID
    id: str
    digest: str  # what the key after must answer to


def make_continuity(key: SigningKey, *, successor: str, agent_id: str, audience: str, now: datetime) -> str:
    """Return the statement of `key` that `successor` comes after it."""
    did, issued = did_key(key.public), numeric_date(now)
    claims = {
        "iss": did,
        "sub": agent_id,
        "aud": audience,
        "successor": successor,
        "iat": issued,
        "exp": issued + LIFETIME,
        "jti": secrets.token_urlsafe(16),
    }
    return sign_jwt(claims, typ=TYPE, key=key, kid=verification_method(did))


def verify_continuity(text: str, *, expected_before: str, expected_audience: str, now: datetime) -> Continuity:
    """Return what the key `expected_before` said to us.

    Raises: BadJOSE, BadDID, WrongKey when it names itself or another key signed, and what `verify_jwt` raises.
    """
    verified = verify_jwt(
        text,
        CONTINUITY,
        find_key=lambda header, _: method_key(header.get("kid"), relationship="authentication")[1],
        expected_issuer=expected_before,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    if verified.claims.keys() != _CLAIMS:
        raise BadJOSE("a continuity statement has exactly its own claims")
    signer, _ = method_key(verified.header.get("kid"), relationship="authentication")
    after = verified.text("successor")
    parse_did_key(after)
    if signer != expected_before or after == expected_before:
        raise WrongKey("the key before names another one that comes after it")
    return Continuity(
        agent_id=verified.text("sub"),
        before=expected_before,
        after=after,
        id=verified.text("jti"),
        digest=statement_digest(text),
    )


def recall_continuity(text: str, *, expected_before: str, expected_audience: str) -> Continuity:
    """Return what a key said in a statement that was taken in its time and is kept since.

    Raises: as `verify_continuity`.
    """
    _, claims = unverified_jws(text)
    said = claims.get("iat")
    if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said < _FAR:
        raise BadJOSE("a continuity statement says when it was made")
    return verify_continuity(
        text,
        expected_before=expected_before,
        expected_audience=expected_audience,
        now=from_numeric_date(said),
    )


def statement_digest(text: str) -> str:
    """Return what the key after answers to."""
    return digest_uri(text.encode())
