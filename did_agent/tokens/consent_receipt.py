"""Consent receipts: what a person allowed whom, as a bridge signed it; proof of what was, long after it ended.

A receipt gives nobody any right: no door of ours takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from did_agent.did.document import split_method_id
from did_agent.did.resolve import method_key
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, NotYetValid, UntrustedIssuer, WrongType
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import SKEW, VerifiedJWT, unverified_jws
from did_agent.tokens.profiles import CONSENT_RECEIPT


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """A consent as it was given; whether it was withdrawn since, only the bridge knows."""

    id: str
    issuer: str  # the bridge, by its URL
    signer: str  # and by the DID that signed
    person: str
    client: str
    agent: str | None  # DID of who may act; None for a program without an agent
    resource: str
    scopes: Mapping[str, str]  # in the words the person saw
    given: datetime
    ends: datetime


def verify_receipt(text: str, *, trusted: frozenset[str], now: datetime) -> VerifiedReceipt:
    """Return what a receipt says that one of the `trusted` DIDs signed; its end is told, not judged.

    Raises: BadJOSE, TooLarge, BadDID, WrongAlgorithm, WrongType, WrongKey, UntrustedIssuer, BadSignature, NotYetValid.
    """
    jws, claims = unverified_jws(text, max_bytes=CONSENT_RECEIPT.max_bytes)
    if jws.type not in CONSENT_RECEIPT.types:
        raise WrongType(f"typ is not that of a {CONSENT_RECEIPT.name}")
    missing = (CONSENT_RECEIPT.required | {"iat"}) - claims.keys()
    if missing:
        raise BadJOSE(f"{CONSENT_RECEIPT.name} lacks {', '.join(sorted(missing))}")
    signer, _ = split_method_id(jws.header.get("kid"))
    if signer not in trusted:
        raise UntrustedIssuer(f"{signer[:200]} is no party of this machine's trust list")
    verify_signature(jws, method_key(jws.header.get("kid"), relationship="assertionMethod")[1])
    found = _read(VerifiedJWT(header=jws.header, claims=claims), signer)
    if found.given > now + timedelta(seconds=SKEW):
        raise NotYetValid("the consent was given in the future")
    return found


def _read(receipt: VerifiedJWT, signer: str) -> VerifiedReceipt:
    scopes, agent = receipt.claims["scopes"], receipt.claims.get("agent")
    if not isinstance(scopes, dict) or not all(isinstance(words, str) for words in scopes.values()):
        raise BadJOSE("scopes are not names with words")
    return VerifiedReceipt(
        id=receipt.text("jti"),
        issuer=receipt.text("iss"),
        signer=signer,
        person=receipt.text("sub"),
        client=receipt.text("client_id"),
        agent=None if agent is None else receipt.text("agent"),
        resource=receipt.text("resource"),
        scopes=scopes,
        given=_moment(receipt, "iat"),
        ends=_moment(receipt, "exp"),
    )


def _moment(receipt: VerifiedJWT, name: str) -> datetime:
    value = receipt.claims[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadJOSE(f"{name} is not a NumericDate in whole seconds")
    return from_numeric_date(value)
