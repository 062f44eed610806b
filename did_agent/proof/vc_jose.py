"""Securing credentials and presentations as JWTs, `vc+jwt` and `vp+jwt` (VC-JOSE-COSE 1.0, 3.1).

The payload is the document itself; members `vc` and `vp` belong to another standard and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from did_agent.clock import numeric_date
from did_agent.did.document import Relationship
from did_agent.did.resolve import NO_DOCUMENTS, Documents, method_key
from did_agent.errors import BadJOSE, Expired, NotYetValid, WrongIssuer, WrongType
from did_agent.keys.public import SigningKey
from did_agent.proof.data_integrity import VerifiedDocument
from did_agent.proof.jose import sign_compact, verify_signature
from did_agent.proof.jwt import SKEW, unverified_jws

Envelope = Literal["vc+jwt", "vp+jwt"]

MAX_SECURED: Final = 65_536  # bytes of the token
_CONTENT: Final[dict[Envelope, str]] = {"vc+jwt": "vc", "vp+jwt": "vp"}
_OWNERS: Final[dict[Envelope, str]] = {"vc+jwt": "issuer", "vp+jwt": "holder"}
_PURPOSES: Final[dict[Envelope, Relationship]] = {"vc+jwt": "assertionMethod", "vp+jwt": "authentication"}
# Claims that speak of the signature and not of the document; the document is what is left.
_CLAIMS: Final = frozenset({"iss", "sub", "jti", "iat", "exp", "nbf", "aud", "nonce", "cnf"})


def secure(
    document: Mapping[str, object],
    key: SigningKey,
    *,
    envelope: Envelope,
    verification_method: str,
    claims: Mapping[str, object] | None = None,
) -> str:
    """Return the document as a JWT; `claims` may add such as `iat`, `exp`, `aud` and `nonce`.

    Raises: BadJOSE when the document carries `vc` or `vp`, or a claim of its own.
    """
    _require_document(document)
    if document.keys() & _CLAIMS:
        raise BadJOSE("the document has members that are claims of the token")
    header = {"typ": envelope, "cty": _CONTENT[envelope], "kid": verification_method}
    return sign_compact(header, {**document, **(claims or {})}, key)


def verify_secured(
    token: str, *, envelope: Envelope, now: datetime, documents: Documents = NO_DOCUMENTS
) -> VerifiedDocument:
    """Return the document that a JWT secures, and who signed it.

    `aud` and `nonce` stay in `proof`, beside the header: whether they are ours is the caller's question.
    Raises: BadJOSE, TooLarge, WrongType, WrongAlgorithm, WrongKey, BadDID, BadSignature, WrongIssuer, Expired,
    NotYetValid, KeysUnavailable.
    """
    jws, payload = unverified_jws(token, max_bytes=MAX_SECURED, names_did=True)
    if jws.type != envelope:
        raise WrongType(f"typ is not {envelope}")
    if jws.header.get("cty", _CONTENT[envelope]) != _CONTENT[envelope]:
        raise WrongType(f"cty is not {_CONTENT[envelope]}")
    controller, key = method_key(jws.header.get("kid"), relationship=_PURPOSES[envelope], documents=documents, now=now)
    verify_signature(jws, key)
    _require_document(payload)
    _require_agreement(jws.header, payload, _OWNERS[envelope])
    require_current(payload, now)
    document = {name: value for name, value in payload.items() if name not in _CLAIMS}
    claims = {name: value for name, value in payload.items() if name in _CLAIMS}
    return VerifiedDocument(
        document=document, secured=enveloped(token, envelope), controller=controller, proof={**jws.header, **claims}
    )


def enveloped(token: str, envelope: Envelope) -> dict[str, object]:
    """Return the object that stands for a token inside a presentation (VCDM 2.0, 4.13.1)."""
    kind = "Credential" if envelope == "vc+jwt" else "Presentation"
    return {
        "@context": "https://www.w3.org/ns/credentials/v2",
        "id": f"data:application/{envelope},{token}",
        "type": f"EnvelopedVerifiable{kind}",
    }


def _require_document(document: Mapping[str, object]) -> None:
    if "vc" in document or "vp" in document:
        raise BadJOSE("the payload is a document, not a claim `vc` or `vp`")


def _require_agreement(header: Mapping[str, object], payload: Mapping[str, object], owner: str) -> None:
    """Refuse a token whose claims say otherwise than its document."""
    named = _id(payload.get(owner))
    for where in (header, payload):
        if "iss" in where and where["iss"] != named:
            raise WrongIssuer(f"iss is not the {owner}")
    if "jti" in payload and "id" in payload and payload["jti"] != payload["id"]:
        raise BadJOSE("jti is not the id of the document")
    subject = payload.get("credentialSubject")
    if "sub" in payload and isinstance(subject, Mapping) and payload["sub"] != subject.get("id", payload["sub"]):
        raise BadJOSE("sub is not the id of the credentialSubject")


def require_current(claims: Mapping[str, object], now: datetime) -> None:
    """Refuse signatures after and before their time; the document has a validity of its own (3.1.3).

    Raises: BadJOSE, Expired, NotYetValid.
    """
    seconds = numeric_date(now)
    for name in ("iat", "nbf", "exp"):
        if name not in claims:
            continue
        moment = claims[name]
        if isinstance(moment, bool) or not isinstance(moment, int):
            raise BadJOSE(f"{name} is not a whole number of seconds")
        if name == "exp" and seconds >= moment + SKEW:
            raise Expired("the signature has expired")
        if name != "exp" and moment > seconds + SKEW:
            raise NotYetValid("the signature is dated in the future")


def _id(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value
