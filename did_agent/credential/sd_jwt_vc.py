"""SD-JWT VC (draft-ietf-oauth-sd-jwt-vc-19): credentials that show as little as their holder likes, bound to its key.

Experimental, since the text is a draft.  The issuer is a DID and its key one of the DID's assertion methods; issuer
metadata and certificates are not read, type metadata is not fetched.  Believing a credential is not trusting its issuer
(VCX-05): that is the caller's next question, and so is the status it names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.clock import numeric_date
from did_agent.credential import closed
from did_agent.credential.token_status import TokenStatusReference, parse_reference
from did_agent.did.document import split_method_id
from did_agent.did.resolve import NO_DOCUMENTS, Documents, method_key
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadCredential, BadJOSE, InvalidParameter, WrongIssuer, WrongType
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.sd_jwt import (
    MAX_SD_JWT,
    KeyBinding,
    WithoutKeyBinding,
    confirmation,
    issue_sd_jwt,
    parse_sd_jwt,
    verify_sd_jwt,
)

TYPE: Final = "dc+sd-jwt"
OLD_TYPE: Final = "vc+sd-jwt"  # of drafts before November 2024

_OWN: Final = frozenset({"iss", "sub", "vct", "iat", "nbf", "exp", "cnf", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSDJWTVC:
    """An SD-JWT VC whose proof, time and type hold; its claims are those that were disclosed."""

    issuer: str
    vct: str
    subject: str | None  # None also when the holder keeps it back
    expires: datetime
    status: TokenStatusReference | None  # still to be asked, where there is one
    holder: PublicKey | None  # the key that proved possession; None without key binding
    claims: Mapping[str, object]
    disclosed: frozenset[str]  # JSON Pointers into `claims`, of what was hidden and is shown


def issue_sd_jwt_vc(
    claims: Mapping[str, object],
    *,
    vct: str,
    key: SigningKey,
    verification_method: str,
    holder: PublicKey,
    issued_at: datetime,
    expires: datetime,
    disclosable: Collection[str],
    subject: str | None = None,
    status: TokenStatusReference | None = None,
    decoys: int = 0,
) -> str:
    """Return the credential for its holder; `disclosable` are JSON Pointers, `/sub` and `/iat` among the possible.

    Raises: InvalidParameter, BadJOSE for claims that must stay in sight, BadDID, TooDeep, TooLarge.
    """
    if _OWN & claims.keys():
        raise InvalidParameter(f"claims that have parameters of their own: {', '.join(sorted(_OWN & claims.keys()))}")
    if not issued_at < expires:
        raise InvalidParameter("a credential ends after it begins")
    issuer, _ = split_method_id(verification_method)
    everything: dict[str, object] = {
        **claims,
        "iss": issuer,
        "vct": closed.uri(vct, "vct"),
        "iat": numeric_date(issued_at),
        "exp": numeric_date(expires),
        "cnf": confirmation(holder),
    }
    if subject is not None:
        everything["sub"] = subject
    if status is not None:
        everything["status"] = status.to_json()
    return issue_sd_jwt(everything, disclosable=disclosable, key=key, typ=TYPE, kid=verification_method, decoys=decoys)


def unverified_method(text: str) -> str:
    """Return the verification method an SD-JWT VC names, whose DID may have to be resolved before it can be judged.

    Raises: BadJOSE, TooLarge, WrongAlgorithm.
    """
    jws, _ = unverified_jws(parse_sd_jwt(text).issued, max_bytes=MAX_SD_JWT, names_did=True)
    if "kid" not in jws.header:
        raise BadJOSE("the SD-JWT VC names no verification method")
    return str(jws.header["kid"])


def verify_sd_jwt_vc(
    text: str,
    *,
    expected_vct: frozenset[str],
    key_binding: KeyBinding | WithoutKeyBinding,
    now: datetime,
    required_claims: frozenset[str] = frozenset(),
    accept_old_type: bool = False,
    documents: Documents = NO_DOCUMENTS,
) -> VerifiedSDJWTVC:
    """Return what an SD-JWT VC says: signed by its issuer's DID, current, of an expected type, shown by its holder.

    `required_claims` are top-level claims the holder must show, `status` where it matters: an issuer might have hidden
    it against the rules and its holder kept it back.
    Raises: BadCredential, WrongIssuer, BadDID, WrongKey, KeysUnavailable, and what `verify_sd_jwt` raises.
    """

    def find_key(header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
        controller, key = method_key(header.get("kid"), relationship="assertionMethod", documents=documents, now=now)
        # Anyone may sign with a key of their own; `iss` says whose statement this is (VCX-04).
        if claims.get("iss") != controller:
            raise WrongIssuer("iss is not the DID whose key signed")
        return key

    verified = verify_sd_jwt(
        text,
        expected_types=frozenset({TYPE, OLD_TYPE}) if accept_old_type else frozenset({TYPE}),
        find_key=find_key,
        key_binding=key_binding,
        now=now,
        names_did=True,
    )
    claims = verified.claims
    missing = ({"iss", "vct", "exp"} | required_claims) - claims.keys()
    if missing:
        raise BadCredential(f"the SD-JWT VC lacks {', '.join(sorted(missing))}")
    vct = closed.text(claims["vct"], "vct")
    if vct not in expected_vct:
        raise WrongType("vct is not one of the types that were asked for")
    return VerifiedSDJWTVC(
        issuer=str(claims["iss"]),
        vct=vct,
        subject=closed.text(claims["sub"], "sub") if "sub" in claims else None,
        expires=from_numeric_date(closed.whole(claims["exp"], "exp", least=0, most=2**53 - 1, error=BadJOSE)),
        status=parse_reference(claims),
        holder=verified.holder,
        claims=claims,
        disclosed=verified.disclosed,
    )
