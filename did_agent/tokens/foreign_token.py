"""Access tokens of other issuers: JWTs (RFC 9068, or plain), and what an issuer says of its opaque ones (RFC 7662).

What such a token says is read strictly and into our own words; what narrows it and is not understood refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from did_agent.clock import numeric_date
from did_agent.credential.capability import Capability, parse_authorization_detail
from did_agent.credential.token_status import TokenStatusReference, parse_reference
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import (
    BadConstraint,
    BadCredential,
    BadJOSE,
    DepthExceeded,
    Expired,
    NotYetValid,
    WrongAlgorithm,
    WrongAudience,
    WrongIssuer,
    WrongType,
)
from did_agent.proof.jose import UnverifiedJWS, parse_compact
from did_agent.proof.jwt import SKEW, FindKey, verify_jwt
from did_agent.tokens.access_token import MAX_DETAILS
from did_agent.tokens.actor import MAX_ACTORS
from did_agent.tokens.confirmation import Confirmation, parse_confirmation
from did_agent.tokens.profiles import foreign_access_token

TYPES: Final = frozenset({"at+jwt", "jwt"})
MAX_LIFETIME: Final = 86_400  # seconds; no issuer's token may live longer
MAX_NAME: Final = 512  # characters of a subject, client or actor
MAX_ID: Final = 256  # characters of a jti
MAX_SCOPES: Final = 256

_ACTOR: Final = frozenset({"sub", "iss", "sub_profile", "client_id", "act"})
# What only ID tokens, logout tokens and security events carry: where plain `JWT` is taken, none of them is (TOK-08).
_OTHER_KINDS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events", "sub_jwk", "vp"})
_TOKEN_TYPES: Final = frozenset({"bearer", "dpop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the tokens of one issuer are read; nothing of it is ever taken from a token."""

    issuer: str
    types: frozenset[str] = frozenset({"at+jwt"})
    algorithms: frozenset[str] = frozenset({"RS256", "ES256", "EdDSA", "Ed25519"})
    max_lifetime: int = 3_600  # seconds
    several_audiences: bool = False  # whether a token may be for others as well
    scope_claim: str = "scope"
    max_actors: int = 4
    dids: bool = False  # whether the issuer's word on DIDs is believed, as that of another bridge
    names_client: bool = True  # whether a token must say which client it is for; it stands for its subject otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignToken:
    """What another issuer says, for one resource."""

    issuer: str
    subject: str
    subject_profile: str | None
    client_id: str
    id: str | None
    expires: datetime
    scopes: frozenset[str]
    actors: tuple[str, ...]
    details: tuple[Capability, ...] | None  # of our type, for the resource alone; None where the token has none
    confirmation: Confirmation | None
    status: TokenStatusReference | None = None  # where its issuer says whether it still counts


def verify_foreign_token(
    token: str | UnverifiedJWS, reading: Reading, *, find_key: FindKey, expected_audience: str, now: datetime
) -> ForeignToken:
    """Return the token that the issuer of `reading` signed for `expected_audience`; its sender is still to be proven.

    Raises: what `verify_jwt` raises, DepthExceeded.
    """
    jws = parse_compact(token) if isinstance(token, str) else token
    if jws.header.get("alg") not in reading.algorithms:
        raise WrongAlgorithm("alg is not one that this issuer signs with")
    verified = verify_jwt(
        jws,
        foreign_access_token(reading.types, reading.max_lifetime, single_audience=not reading.several_audiences),
        find_key=find_key,
        expected_issuer=reading.issuer,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    if jws.type == "jwt" and (_OTHER_KINDS & verified.claims.keys() or reading.scope_claim not in verified.claims):
        raise WrongType("a plain JWT that is not an access token")
    return _read(verified.claims, reading, expected_audience)


def read_introspection(
    answer: Mapping[str, object], reading: Reading, *, expected_audience: str, now: datetime
) -> ForeignToken | None:
    """Return what its issuer says of an opaque token; None when it is not active (RFC 7662, 2.2).

    Raises: BadJOSE, WrongIssuer, WrongAudience, WrongType, Expired, NotYetValid, DepthExceeded.
    """
    if answer.get("active") is not True:
        return None
    if answer.get("iss", reading.issuer) != reading.issuer:
        raise WrongIssuer("the answer speaks of another issuer's token")
    audience = answer.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if expected_audience not in named or (len(named) > 1 and not reading.several_audiences):
        raise WrongAudience("aud does not name us, or not us alone")
    moment = numeric_date(now)
    if _seconds(answer, "exp") <= moment:
        raise Expired("exp has passed")
    if "nbf" in answer and _seconds(answer, "nbf") > moment + SKEW:
        raise NotYetValid("nbf is in the future")
    kind = answer.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() not in _TOKEN_TYPES:
        raise WrongType("not an access token")  # a refresh token is active, too
    if kind.lower() == "dpop" and "cnf" not in answer:
        raise BadJOSE("a DPoP token without its key")
    return _read(answer, reading, expected_audience)


def _read(claims: Mapping[str, object], reading: Reading, audience: str) -> ForeignToken:
    subject = _name(claims.get("sub"), "sub", reading)
    actors = _actors(claims.get("act"), reading)
    if subject in actors:
        raise BadJOSE("the subject acts for itself")
    identifier, profile = claims.get("jti"), claims.get("sub_profile")
    if not isinstance(identifier, str | None) or len(identifier or "") > MAX_ID:
        raise BadJOSE("jti is not a short string")
    if not isinstance(profile, str | None):
        raise BadJOSE("sub_profile is not a string")
    return ForeignToken(
        issuer=reading.issuer,
        subject=subject,
        subject_profile=profile,
        client_id=_client(claims, subject, reading),
        id=identifier,
        expires=from_numeric_date(_seconds(claims, "exp")),
        scopes=_scopes(claims.get(reading.scope_claim, "")),
        actors=actors,
        details=_details(claims.get("authorization_details"), audience),
        confirmation=parse_confirmation(claims.get("cnf")),
        status=parse_reference(claims),
    )


def _name(value: object, where: str, reading: Reading) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise BadJOSE(f"{where} is not a short text")
    # A DID is whoever holds its key; another issuer's word for that counts only where an operator says so (DEL-11).
    if value.lower().startswith("did:") and not reading.dids:
        raise BadJOSE(f"{where} is a DID, for which this issuer's word does not count")
    return value


def _client(claims: Mapping[str, object], subject: str, reading: Reading) -> str:
    named = {claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)}
    if len(named) > 1:
        raise BadJOSE("client_id and azp differ")
    if not named:
        if reading.names_client:
            raise BadJOSE("the token does not say which client it is for")
        return subject
    return _name(named.pop(), "client_id", reading)


def _actors(claim: object, reading: Reading) -> tuple[str, ...]:
    actors: list[str] = []
    while claim is not None:
        if not isinstance(claim, dict) or not claim.keys() <= _ACTOR:
            raise BadJOSE("act holds unknown members")
        # Whom another issuer names, this one does not know.
        if claim.get("iss", reading.issuer) != reading.issuer:
            raise BadJOSE("an actor of another issuer")
        actor = _name(claim.get("sub"), "act.sub", reading)
        if actor in actors:
            raise BadJOSE("an actor stands twice in the chain")
        actors.append(actor)
        if len(actors) > min(reading.max_actors, MAX_ACTORS):
            raise DepthExceeded("more actors than are believed of this issuer")
        claim = claim.get("act")
    return tuple(actors)


def _scopes(value: object) -> frozenset[str]:
    listed = value.split() if isinstance(value, str) else value  # some issuers list them
    if not isinstance(listed, list) or len(listed) > MAX_SCOPES or not all(isinstance(one, str) for one in listed):
        raise BadJOSE("the scopes are neither a string nor a list of strings")
    return frozenset(cast("list[str]", listed))


def _details(value: object, audience: str) -> tuple[Capability, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_DETAILS:
        raise BadJOSE("authorization_details is not a short list")
    try:
        details = tuple(parse_authorization_detail(item) for item in value)
    except (BadCredential, BadConstraint) as error:
        raise BadJOSE(f"authorization_details: {error.detail}") from error
    if any(detail.resources != (audience,) for detail in details):
        raise BadJOSE("authorization_details name another resource")
    return details


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadJOSE(f"{name} is not a NumericDate in whole seconds")
    return value
