"""SD-JWT and SD-JWT with key binding (RFC 9901): issue, present with less, verify strictly.

A holder shows some disclosures of what an issuer signed and proves, with a KB-JWT over exactly those, that the token is
its own, for one verifier and one nonce.  Whether that proof is needed is the verifier's policy and never read from
what was sent (7.3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import (
    BadJOSE,
    BadSignature,
    Expired,
    HolderMismatch,
    InvalidParameter,
    Malformed,
    NotYetValid,
    TooLarge,
    WrongAudience,
    WrongChallenge,
    WrongType,
)
from did_agent.keys.jwk import parse_public_jwk, public_jwk
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.proof.disclosure import (
    MAX_DISCLOSURES,
    RESERVED,
    Disclosure,
    Revealed,
    hide,
    parse_disclosure,
    reveal,
    select,
)
from did_agent.proof.jose import MAX_TOKEN, verify_signature
from did_agent.proof.jwt import SKEW, FindKey, sign_jwt, unverified_jws

MAX_SD_JWT: Final = 65_536  # bytes of the token with disclosures and key binding
MAX_BINDING_AGE: Final = 300  # seconds from `iat` of a KB-JWT; as long as a challenge lives
KEY_BINDING_TYPE: Final = "kb+jwt"

WithoutKeyBinding = Literal["insecure_without_key_binding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBinding:
    """What a KB-JWT must say: whom it is for and in answer to what."""

    audience: str
    nonce: str
    max_age: int = MAX_BINDING_AGE  # seconds

    def __post_init__(self) -> None:
        # An empty expectation would be met by whoever sends an empty string.
        if not self.audience or not self.nonce:
            raise InvalidParameter("key binding needs an audience and a nonce")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedSDJWT:
    """An SD-JWT that could be read; nothing in it is believed yet."""

    issued: str  # the issuer's compact JWS
    disclosures: tuple[Disclosure, ...]
    binding: str | None  # the KB-JWT

    @property
    def presented(self) -> str:
        """All that stands before the KB-JWT, with the last `~`: what `sd_hash` is over."""
        return "~".join([self.issued, *(disclosure.text for disclosure in self.disclosures), ""])


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSDJWT:
    """What the issuer signed and the holder let us see."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    disclosed: frozenset[str]  # JSON Pointers into `claims`, of what was hidden and is shown
    holder: PublicKey | None  # the key that proved possession; None without key binding
    presented: str = field(repr=False)


def parse_sd_jwt(text: str) -> UnverifiedSDJWT:
    """Return the parts of `<JWS>~<disclosure>~…~<KB-JWT>`, where the KB-JWT may be missing and the last `~` may not.

    Raises: BadJOSE, TooLarge.
    """
    if len(text) > MAX_SD_JWT:
        raise TooLarge(f"an SD-JWT longer than {MAX_SD_JWT} bytes")
    if text.count("~") > MAX_DISCLOSURES + 1:
        raise TooLarge(f"more than {MAX_DISCLOSURES} disclosures")
    issued, *middle = text.split("~")
    if not middle:
        raise BadJOSE("an SD-JWT has a ~ after the issuer's part")
    *texts, binding = middle
    return UnverifiedSDJWT(
        issued=issued, disclosures=tuple(parse_disclosure(item) for item in texts), binding=binding or None
    )


def confirmation(holder: PublicKey) -> dict[str, object]:
    """Return the claim `cnf` that binds a token to the key of its holder (RFC 7800, 3.2)."""
    return {"jwk": public_jwk(holder)}


def issue_sd_jwt(
    claims: Mapping[str, object],
    *,
    disclosable: Collection[str],
    key: SigningKey,
    typ: str,
    kid: str | None = None,
    decoys: int = 0,
) -> str:
    """Return the SD-JWT of `claims` for its holder; `disclosable` are JSON Pointers such as `/address/street`.

    Raises: InvalidParameter, BadJOSE for claims that must stay in sight, TooDeep, TooLarge.
    """
    payload, disclosures = hide(claims, disclosable, decoys=decoys)
    issued = sign_jwt(payload, typ=typ, key=key, kid=kid)
    text = UnverifiedSDJWT(issued=issued, disclosures=disclosures, binding=None).presented
    if len(text) > MAX_SD_JWT:
        raise TooLarge(f"an SD-JWT longer than {MAX_SD_JWT} bytes")
    return text


def disclosable_places(sd_jwt: str) -> frozenset[str]:
    """Return the places a holder may show or keep, for a token it has verified when it got it.

    Raises: as `present`.
    """
    return frozenset(_read(sd_jwt)[1].places)


def select_disclosures(sd_jwt: str, *, disclose: Collection[str]) -> str:
    """Return the SD-JWT with the disclosures for the places `disclose` alone, still without key binding.

    A place is shown with what it is in; hidden claims inside it have to be named themselves.
    Raises: as `present`.
    """
    return _select(sd_jwt, disclose)[0]


def present(
    sd_jwt: str, *, disclose: Collection[str], holder_key: SigningKey, audience: str, nonce: str, now: datetime
) -> str:
    """Return the presentation of `disclose` to one verifier, in answer to its nonce (RFC 9901, 7.2).

    Raises: InvalidParameter when a place does not exist, HolderMismatch when the token is bound to another key,
    BadJOSE, TooLarge, TooDeep, BadSignature when the token is not what an issuer sends.
    """
    shown, claims = _select(sd_jwt, disclose)
    if public_jwk(_confirmed_key(claims)) != public_jwk(holder_key.public):
        raise HolderMismatch("cnf names another key than the one at hand")
    said = {"iat": numeric_date(now), "aud": audience, "nonce": nonce, "sd_hash": _hash(shown)}
    return shown + sign_jwt(said, typ=KEY_BINDING_TYPE, key=holder_key)


def verify_sd_jwt(
    text: str,
    *,
    expected_types: frozenset[str],
    find_key: FindKey,
    key_binding: KeyBinding | WithoutKeyBinding,
    now: datetime,
    never_hidden: frozenset[str] = frozenset(),
    names_did: bool = False,
) -> VerifiedSDJWT:
    """Return the claims of an SD-JWT as far as they are disclosed (RFC 9901, 7.1 and 7.3).

    `expected_types` are values of `typ`, lower case; `find_key` gets header and claims in sight and returns the
    issuer's key, or raises; with `names_did` its `kid` is a DID URL.  `never_hidden` adds top-level claims to those
    that are never selectively disclosable.
    A claim that restricts the token may have been hidden and kept back: whoever needs one has to require it.
    Raises: BadJOSE, TooLarge, TooDeep, WrongType, WrongAlgorithm, BadKey, BadSignature, Expired, NotYetValid,
    HolderMismatch, WrongAudience, WrongChallenge.
    """
    unverified = parse_sd_jwt(text)
    jws, payload = unverified_jws(unverified.issued, max_bytes=MAX_SD_JWT, names_did=names_did)
    if jws.type not in expected_types:
        raise WrongType(f"typ is not one of {', '.join(sorted(expected_types))}")
    verify_signature(jws, find_key(jws.header, payload))
    revealed = reveal(payload, unverified.disclosures, never_hidden=RESERVED | never_hidden)
    _require_current(revealed.claims, numeric_date(now))
    holder = None
    if key_binding != "insecure_without_key_binding":
        holder = _prove_possession(unverified, revealed.claims, key_binding, numeric_date(now))
    elif unverified.binding is not None:
        raise BadJOSE("a KB-JWT that nobody asked for, and nobody checks")
    return VerifiedSDJWT(
        header=jws.header,
        claims=revealed.claims,
        disclosed=frozenset(revealed.places),
        holder=holder,
        presented=unverified.presented,
    )


def _prove_possession(
    unverified: UnverifiedSDJWT, claims: Mapping[str, object], expected: KeyBinding, now: int
) -> PublicKey:
    if unverified.binding is None:
        raise HolderMismatch("presented without key binding")
    key = _confirmed_key(claims)
    jws, said = unverified_jws(unverified.binding, max_bytes=MAX_TOKEN)
    if jws.type != KEY_BINDING_TYPE:
        raise WrongType(f"typ of the KB-JWT is not {KEY_BINDING_TYPE}")
    verify_signature(jws, key)
    missing = {"iat", "aud", "nonce", "sd_hash"} - said.keys()
    if missing:
        raise BadJOSE(f"the KB-JWT lacks {', '.join(sorted(missing))}")
    # One string, not an array that also names us: a proof is for one verifier (4.3).
    if said["aud"] != expected.audience:
        raise WrongAudience("aud of the KB-JWT does not name us")
    if said["nonce"] != expected.nonce:
        raise WrongChallenge("nonce of the KB-JWT is not ours")
    if said["sd_hash"] != _hash(unverified.presented):
        raise BadSignature("sd_hash is of other disclosures, or of another token")
    _require_current(said, now)
    if _seconds(said, "iat") < now - expected.max_age - SKEW:
        raise Expired("the KB-JWT is too old")
    return key


def _confirmed_key(claims: Mapping[str, object]) -> PublicKey:
    named = claims.get("cnf")
    # Other methods of RFC 7800 beside `jwk` could name another key.
    if not isinstance(named, dict) or not {"jwk"} <= named.keys() <= {"jwk", "kid"}:
        raise HolderMismatch("cnf does not name the holder's key as a jwk")
    return parse_public_jwk(named["jwk"])


def _read(sd_jwt: str) -> tuple[UnverifiedSDJWT, Revealed]:
    unverified = parse_sd_jwt(sd_jwt)
    if unverified.binding is not None:
        raise BadJOSE("an issuer's SD-JWT has no KB-JWT")
    return unverified, reveal(_payload(unverified.issued), unverified.disclosures)


def _payload(issued: str) -> Mapping[str, object]:
    # A holder looks up no key, so the header is not its question.
    segments = issued.split(".")
    if len(segments) != 3:
        raise BadJOSE("not a compact JWS")
    try:
        return parse_object(base64url.decode(segments[1]))
    except Malformed as error:
        raise BadJOSE(f"the claims cannot be read: {error.code}") from error


def _select(sd_jwt: str, disclose: Collection[str]) -> tuple[str, Mapping[str, object]]:
    unverified, revealed = _read(sd_jwt)
    selected = select(revealed, disclose)
    kept = tuple(disclosure for disclosure in unverified.disclosures if disclosure.text in selected)
    return UnverifiedSDJWT(issued=unverified.issued, disclosures=kept, binding=None).presented, revealed.claims


def _hash(presented: str) -> str:
    return base64url.encode(sha256(presented.encode("ascii")))


def _require_current(claims: Mapping[str, object], now: int) -> None:
    for name in ("iat", "nbf"):
        if name in claims and _seconds(claims, name) > now + SKEW:
            raise NotYetValid(f"{name} is in the future")
    if "exp" in claims and _seconds(claims, "exp") <= now - SKEW:
        raise Expired("exp has passed")


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims[name]
    # bool is an int in Python, and a string or null is not a time (TOK-06).
    if type(value) is not int or value < 0:
        raise BadJOSE(f"{name} is not a NumericDate in whole seconds")
    return value
