"""The one JWT verifier (RFC 7519, RFC 8725): every signed token passes here, under the profile of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import (
    BadJOSE,
    Expired,
    Malformed,
    NotYetValid,
    WrongAudience,
    WrongIssuer,
    WrongType,
)
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.proof.jose import MAX_TOKEN, UnverifiedJWS, parse_compact, sign_compact, verify_signature

SKEW: Final = 30  # seconds by which two honest clocks may differ
MAX_AUDIENCES: Final = 8  # members of an `aud` array

FindKey = Callable[[Mapping[str, object], Mapping[str, object]], PublicKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class JWTProfile:
    """What one kind of token must look like; no call site can switch a rule off."""

    name: str
    types: frozenset[str]  # accepted `typ`, lower case, without `application/`; "" accepts its absence
    required: frozenset[str]  # claims that must be there, beside `iat` and `exp`
    max_lifetime: int | None = None  # seconds from `iat` to `exp`; None where the kind has no `exp`
    single_audience: bool = True
    max_bytes: int = MAX_TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedJWT:
    """The header and claims that were signed."""

    header: Mapping[str, object]
    claims: Mapping[str, object]

    def text(self, name: str) -> str:
        """Return a claim that must be a non-empty string.

        Raises: BadJOSE.
        """
        value = self.claims.get(name)
        if not isinstance(value, str) or not value:
            raise BadJOSE(f"claim {name} is not a non-empty string")
        return value


def sign_jwt(claims: Mapping[str, object], *, typ: str, key: SigningKey, kid: str | None = None) -> str:
    """Return the compact JWT of `claims` under the given `typ`."""
    header = {"typ": typ} if kid is None else {"typ": typ, "kid": kid}
    return sign_compact(header, claims, key)


def unverified_jws(
    token: str | UnverifiedJWS, *, max_bytes: int = MAX_TOKEN, names_did: bool = False
) -> tuple[UnverifiedJWS, Mapping[str, object]]:
    """Return a token's parts and claims before anything is believed, for routing alone; parts are not read again.

    Raises: BadJOSE, TooLarge, WrongAlgorithm.
    """
    jws = parse_compact(token, max_bytes=max_bytes, names_did=names_did) if isinstance(token, str) else token
    try:
        return jws, parse_object(jws.payload, max_bytes=max_bytes)
    except Malformed as error:
        raise BadJOSE(f"the claims are not strict JSON: {error.code}") from error


def verify_jwt(
    token: str | UnverifiedJWS,
    profile: JWTProfile,
    *,
    find_key: FindKey,
    expected_issuer: str | None,
    expected_audience: frozenset[str],
    now: datetime,
) -> VerifiedJWT:
    """Return the claims of a token that is what `profile` says, for us, from whom we expect, and now.

    `find_key` gets header and claims and returns the key of the issuer they name, or raises.
    `expected_issuer` None means that `find_key` decides who may issue (a did:key names itself).
    Raises: BadJOSE, TooLarge, WrongAlgorithm, WrongType, WrongIssuer, WrongAudience, BadSignature, Expired,
    NotYetValid.
    """
    jws, claims = unverified_jws(token, max_bytes=profile.max_bytes)
    if jws.type not in profile.types:
        raise WrongType(f"typ is not that of {profile.name}")
    missing = (profile.required | {"iat"}) - claims.keys()
    if missing:
        raise BadJOSE(f"{profile.name} lacks {', '.join(sorted(missing))}")
    if expected_issuer is not None and claims.get("iss") != expected_issuer:
        raise WrongIssuer("iss is not the expected issuer")
    _require_audience(claims.get("aud"), profile, expected_audience)
    verify_signature(jws, find_key(jws.header, claims))
    _require_time(claims, profile, numeric_date(now))
    return VerifiedJWT(header=jws.header, claims=claims)


def _require_audience(audience: object, profile: JWTProfile, expected: frozenset[str]) -> None:
    values = audience if isinstance(audience, list) else [audience]
    if len(values) > (1 if profile.single_audience else MAX_AUDIENCES):
        raise WrongAudience("more audiences than this kind of token may have")
    # Exact strings: no prefix, no trailing slash tolerance (TOK-07).
    if not any(isinstance(value, str) and value in expected for value in values):
        raise WrongAudience("aud does not name us")


def _require_time(claims: Mapping[str, object], profile: JWTProfile, now: int) -> None:
    issued = _seconds(claims, "iat")
    if issued > now + SKEW:
        raise NotYetValid("iat is in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > now + SKEW:
        raise NotYetValid("nbf is in the future")
    if profile.max_lifetime is None:
        return
    expires = _seconds(claims, "exp")
    if expires <= now - SKEW:
        raise Expired("exp has passed")
    if not 0 < expires - issued <= profile.max_lifetime:
        raise Expired(f"{profile.name} lives longer than {profile.max_lifetime} s")


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    # bool is an int in Python, and a string is not a time (TOK-06).
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadJOSE(f"{name} is not a NumericDate in whole seconds")
    return value
