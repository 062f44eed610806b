"""Token Status List (draft-ietf-oauth-status-list-20): status of a JWT, from a signed list in a JWT.

Experimental, since the text is a draft.  Two things are the opposite of a Bitstring Status List: the first entry of a
byte is in its least significant bits, and the compression is ZLIB.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.clock import numeric_date
from did_agent.credential import closed
from did_agent.credential.bitstring import IN_HAND, ZLIB, inflate
from did_agent.encoding import base64url
from did_agent.encoding.strict_json import MAX_STRING
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import (
    BadEncoding,
    BadJOSE,
    Expired,
    NotYetValid,
    Revoked,
    StatusIndexOutOfRange,
    StatusNotVerified,
    StatusUnavailable,
    Suspended,
    TooLarge,
    WrongAudience,
    WrongIssuer,
    WrongType,
)
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import SKEW, FindKey, JWTProfile, VerifiedJWT, sign_jwt, unverified_jws

EntryBits = Literal[1, 2, 4, 8]

ENTRY_BITS: Final[tuple[int, ...]] = (1, 2, 4, 8)
MAX_LST_TEXT: Final = MAX_STRING  # characters of `lst`; strict JSON reads no longer string
MAX_TTL: Final = 300  # seconds; a cached list is never believed longer than this (VCX-10)
MAX_AGE_WITHOUT_END: Final = 86_400  # seconds after `iat`, where there is no `exp`: an old list is not replayed forever
MAX_NUMBER: Final = 2**53 - 1

# No `aud`: one list is for everybody.  `exp` is optional, so it is judged here.
STATUS_LIST_TOKEN: Final = JWTProfile(
    name="status list token",
    types=frozenset({"statuslist+jwt"}),
    required=frozenset({"sub", "status_list"}),
    max_bytes=131_072,  # base64url of the claims around the longest `lst`
)

NAMES: Final[Mapping[int, str]] = {0: "VALID", 1: "INVALID", 2: "SUSPENDED"}  # others: of an application, or unassigned


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatusReference:
    """Where the status of one token is to be found: its claim `status.status_list`."""

    index: int
    uri: str

    def to_json(self) -> dict[str, object]:
        """Return the value of the claim `status`."""
        return {"status_list": {"idx": self.index, "uri": self.uri}}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatusList:
    """A status list token whose signature, type, address and time were checked."""

    uri: str
    bits: int  # of one entry
    statuses: bytes
    issued_at: datetime
    expires: datetime
    fetched_at: datetime
    ttl: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatus:
    """The status of one token; only 0 says that it is valid."""

    value: int

    @property
    def valid(self) -> bool:
        """Tell whether the token counts."""
        return self.value == 0

    @property
    def name(self) -> str:
        """The registered name of the value, or its number."""
        return NAMES.get(self.value, f"0x{self.value:02X}")

    def require_valid(self) -> None:
        """Return when the token counts; a value whose meaning we do not know ends it.

        Raises: Revoked, Suspended, StatusNotVerified.
        """
        if self.value == 1:
            raise Revoked("the token is revoked")
        if self.value == 2:
            raise Suspended("the token is suspended")
        if not self.valid:
            raise StatusNotVerified(f"the token has status {self.name}")


def parse_reference(claims: Mapping[str, object]) -> TokenStatusReference | None:
    """Return where the status of a verified token is kept, or None when it names no status at all.

    A `status` of another mechanism is refused: it might end the token.
    Raises: BadJOSE.
    """
    if "status" not in claims:
        return None
    status = closed.members(claims["status"], "status", required=frozenset({"status_list"}), error=BadJOSE)
    listed = status["status_list"]
    if not isinstance(listed, dict):
        raise BadJOSE("status_list is not an object")
    return TokenStatusReference(
        index=closed.whole(listed.get("idx"), "idx", least=0, most=MAX_NUMBER, error=BadJOSE),
        uri=closed.uri(listed.get("uri"), "uri", error=BadJOSE),
    )


def check_token_status(reference: TokenStatusReference, found: TokenStatusList | None, *, now: datetime) -> TokenStatus:
    """Return the status of a token in the list it names; None says that the list could not be had.

    Raises: StatusUnavailable, StatusNotVerified, Expired, StatusIndexOutOfRange.
    """
    if found is None:
        raise StatusUnavailable(f"the status list {reference.uri} cannot be had")
    if found.uri != reference.uri:
        raise StatusNotVerified("the token names another status list")
    _require_current(found, now)
    return TokenStatus(value=status_at(found.statuses, reference.index, bits=found.bits))


def issue_status_list_token(
    *,
    uri: str,
    statuses: bytes,
    bits: EntryBits,
    key: SigningKey,
    issued_at: datetime,
    expires: datetime,
    ttl: int,
    kid: str | None = None,
    issuer: str | None = None,
) -> str:
    """Return the signed list to be served at `uri` as `application/statuslist+jwt`; `ttl` is in seconds.

    Raises: TooLarge when no reader would take it.
    """
    text = encode_statuses(statuses)
    if len(text) > MAX_LST_TEXT:
        raise TooLarge(f"lst is longer than {MAX_LST_TEXT} characters")
    claims: dict[str, object] = {
        "sub": uri,
        "iat": numeric_date(issued_at),
        "exp": numeric_date(expires),
        "ttl": ttl,
        "status_list": {"bits": bits, "lst": text},
    }
    return sign_jwt(claims if issuer is None else {**claims, "iss": issuer}, typ="statuslist+jwt", key=key, kid=kid)


def verify_status_list_token(
    token: str,
    *,
    expected_uri: str,
    expected_issuer: str | None,
    find_key: FindKey,
    fetched_at: datetime,
    now: datetime,
) -> TokenStatusList:
    """Return the believed list: its type, address, signer and time (section 8.3; VCX-10).

    `find_key` returns a key only of whom we let keep the status of this issuer's tokens, since the token need not
    name its issuer.  `expected_issuer` None means that it does not, or that `find_key` has judged it.
    Raises: BadJOSE, TooLarge, WrongAlgorithm, WrongType, WrongIssuer, WrongAudience, BadSignature, StatusNotVerified,
    Expired, NotYetValid, StatusUnavailable.
    """
    verified = _verify(token, find_key, expected_issuer, now)
    claims = verified.claims
    # Otherwise another list of the same issuer, served here, could un-revoke (VCX-10).
    if verified.text("sub") != expected_uri:
        raise StatusNotVerified("sub is not the URI the status list was asked from")
    if "status" in claims:
        raise StatusNotVerified("the status list names a status itself")
    bits, statuses = _read_statuses(claims["status_list"])
    issued = _seconds(claims, "iat")
    ttl = closed.whole(claims.get("ttl", MAX_TTL), "ttl", least=1, most=MAX_NUMBER, error=BadJOSE)
    found = TokenStatusList(
        uri=expected_uri,
        bits=bits,
        statuses=statuses,
        issued_at=from_numeric_date(issued),
        expires=from_numeric_date(_seconds(claims, "exp") if "exp" in claims else issued + MAX_AGE_WITHOUT_END),
        fetched_at=fetched_at,
        ttl=timedelta(seconds=min(ttl, MAX_TTL)),
    )
    _require_current(found, now)
    return found


# ---- the bits


def encode_statuses(statuses: bytes) -> str:
    """Return `lst`: base64url of the statuses in ZLIB format, at the highest compression."""
    return base64url.encode(zlib.compress(statuses, 9))


def decode_statuses(text: object) -> bytes:
    """Return the statuses behind `lst`: bounded, one ZLIB stream, nothing after it.

    Raises: BadJOSE.
    """
    if not isinstance(text, str) or len(text) > MAX_LST_TEXT:
        raise BadJOSE("lst is not a string, or too long")
    try:
        return inflate(base64url.decode(text), ZLIB)
    except BadEncoding as error:
        raise BadJOSE("lst is not canonical base64url of one whole ZLIB stream") from error


def status_at(statuses: bytes, index: int, *, bits: int) -> int:
    """Return the status at `index`; the first of a byte is in its least significant bits (section 4.1).

    Raises: StatusIndexOutOfRange.
    """
    place = index * bits
    if index < 0 or place >= len(statuses) * 8:
        raise StatusIndexOutOfRange("the status list index is outside the list")
    return (statuses[place >> 3] >> (place & 7)) & ((1 << bits) - 1)


def with_status(statuses: bytes, index: int, value: int, *, bits: int) -> bytes:
    """Return `statuses` with the one at `index` set to `value`.

    Raises: StatusIndexOutOfRange, TooLarge when an entry has not enough bits for the value.
    """
    if not 0 <= value < 1 << bits:
        raise TooLarge(f"a status of {bits} bits cannot be {value}")
    difference = status_at(statuses, index, bits=bits) ^ value
    changed = bytearray(statuses)
    changed[index * bits >> 3] ^= difference << (index * bits & 7)
    return bytes(changed)


# ---- the token


def _verify(token: str, find_key: FindKey, expected_issuer: str | None, now: datetime) -> VerifiedJWT:
    # `verify_jwt` demands an audience, which this kind of token does not have; the rules are the same otherwise.
    jws, claims = unverified_jws(token, max_bytes=STATUS_LIST_TOKEN.max_bytes)
    if jws.type not in STATUS_LIST_TOKEN.types:
        raise WrongType(f"typ is not that of {STATUS_LIST_TOKEN.name}")
    missing = (STATUS_LIST_TOKEN.required | {"iat"}) - claims.keys()
    if missing:
        raise BadJOSE(f"{STATUS_LIST_TOKEN.name} lacks {', '.join(sorted(missing))}")
    if expected_issuer is not None and claims.get("iss") != expected_issuer:
        raise WrongIssuer("iss is not the expected issuer")
    if "aud" in claims:
        raise WrongAudience("a status list is for everybody; one for somebody is not for us")
    verify_signature(jws, find_key(jws.header, claims))
    if "nbf" in claims and _seconds(claims, "nbf") > numeric_date(now) + SKEW:
        raise NotYetValid("nbf is in the future")
    return VerifiedJWT(header=jws.header, claims=claims)


def _require_current(found: TokenStatusList, now: datetime) -> None:
    skew = timedelta(seconds=SKEW)
    if found.issued_at > now + skew:
        raise NotYetValid("iat is in the future")
    if found.expires <= now - skew:
        raise Expired("the status list has expired")
    # A copy from the future is as unknown as an old one.
    if not -skew <= now - found.fetched_at <= max(found.ttl, IN_HAND):
        raise StatusUnavailable(f"the copy of {found.uri} is stale")


def _read_statuses(value: object) -> tuple[int, bytes]:
    if not isinstance(value, dict):
        raise BadJOSE("status_list is not an object")
    bits = value.get("bits")
    if type(bits) is not int or bits not in ENTRY_BITS:
        raise BadJOSE("bits is not 1, 2, 4 or 8")
    return bits, decode_statuses(value.get("lst"))


def _seconds(claims: Mapping[str, object], name: str) -> int:
    return closed.whole(claims[name], name, least=0, most=MAX_NUMBER, error=BadJOSE)
