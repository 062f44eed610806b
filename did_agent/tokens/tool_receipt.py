"""Receipts of tool calls: a guard's signed word on who called what, what was decided, and what came back.

A receipt gives nobody any right: no door of ours takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from did_agent.clock import numeric_date
from did_agent.did.document import split_method_id
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import (
    BadJOSE,
    NotYetValid,
    RelatedResourceMismatch,
    UntrustedIssuer,
    WrongAudience,
    WrongIssuer,
    WrongType,
)
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import SKEW, VerifiedJWT, sign_jwt, unverified_jws
from did_agent.tokens.actor import act_claim, parse_act
from did_agent.tokens.profiles import TOOL_RECEIPT

TYPE: Final = "tool-receipt+jwt"
MEMBER: Final = "org.did-agent/receipt"  # of `_meta`: asked for with true, answered with the receipt
OMITTED: Final = "org.did-agent/receipt-omitted"  # of `_meta`: why there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReceipt:
    """One call of a tool, as the guard that decided it saw it."""

    id: str
    issuer: str  # DID of the guard
    audience: str  # client id of the caller
    issued_at: datetime
    principal: str
    principal_kind: str  # user, agent, service
    principal_namespace: str  # whose name for the principal it is
    actors: tuple[str, ...]  # the agent acting now first
    resource: str
    tool: str
    argument_digest: str
    result_digest: str
    is_error: bool  # whether the result says that the tool failed, or the call was refused
    decision: str  # allow or deny
    policy: str | None
    request_id: str  # also in the audit event of the decision
    evidence: str | None  # digest of the signed delegation


def result_digest(result: Mapping[str, Any]) -> str:
    """Return the digest of a JSON-RPC result as the server made it: without what a guard added to its `_meta`.

    Raises: BadEncoding when it has no canonical form.
    """
    return digest_uri(canonicalize(without_receipt(result)))


def without_receipt(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result without our members of `_meta`; a `_meta` that has no other is left out as a whole."""
    meta = result.get("_meta")
    if not isinstance(meta, dict):
        return result
    kept = {name: value for name, value in meta.items() if name not in (MEMBER, OMITTED)}
    others = {name: value for name, value in result.items() if name != "_meta"}
    return {**others, "_meta": kept} if kept else others


def sign_tool_receipt(receipt: ToolReceipt, *, key: SigningKey) -> str:
    """Return the receipt as the guard's own key signs it."""
    claims = {
        "iss": receipt.issuer,
        "aud": receipt.audience,
        "iat": numeric_date(receipt.issued_at),
        "jti": receipt.id,
        "sub": receipt.principal,
        "sub_profile": receipt.principal_kind,
        "sub_iss": receipt.principal_namespace,
        "act": act_claim(receipt.actors, issuer=receipt.issuer),
        "resource": receipt.resource,
        "tool": receipt.tool,
        "argument_digest": receipt.argument_digest,
        "result_digest": receipt.result_digest,
        "is_error": receipt.is_error,
        "decision": receipt.decision,
        "policy": receipt.policy,
        "request_id": receipt.request_id,
        "evidence": receipt.evidence,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return sign_jwt(present, typ=TYPE, key=key, kid=verification_method(did_key(key.public)))


def verify_tool_receipt(
    text: str, *, trusted: frozenset[str], expected_audience: str | None, now: datetime
) -> ToolReceipt:
    """Return what a receipt says that one of the `trusted` guards signed; None expects no one audience.

    Raises: BadJOSE, TooLarge, BadDID, WrongAlgorithm, WrongType, WrongKey, WrongIssuer, UntrustedIssuer,
    WrongAudience, BadSignature, NotYetValid, DepthExceeded.
    """
    jws, claims = unverified_jws(text, max_bytes=TOOL_RECEIPT.max_bytes)
    if jws.type not in TOOL_RECEIPT.types:
        raise WrongType(f"typ is not that of a {TOOL_RECEIPT.name}")
    missing = (TOOL_RECEIPT.required | {"iat"}) - claims.keys()
    if missing:
        raise BadJOSE(f"{TOOL_RECEIPT.name} lacks {', '.join(sorted(missing))}")
    signer, _ = split_method_id(jws.header.get("kid"))
    if signer not in trusted:
        raise UntrustedIssuer(f"{signer[:200]} is no party of this machine's trust list")
    if claims["iss"] != signer:
        raise WrongIssuer("iss is not who signed")
    verify_signature(jws, method_key(jws.header.get("kid"), relationship="assertionMethod")[1])
    found = _read(VerifiedJWT(header=jws.header, claims=claims))
    if expected_audience is not None and found.audience != expected_audience:
        raise WrongAudience("the receipt is for somebody else")
    if found.issued_at > now + timedelta(seconds=SKEW):
        raise NotYetValid("the call was made in the future")
    return found


def require_result(receipt: ToolReceipt, result: Mapping[str, Any]) -> None:
    """Return when `result` is the one the receipt speaks of.

    Raises: RelatedResourceMismatch, BadEncoding.
    """
    if result_digest(result) != receipt.result_digest:
        raise RelatedResourceMismatch("the result is not the one that the receipt was signed for")


def _read(receipt: VerifiedJWT) -> ToolReceipt:
    issued, is_error = receipt.claims["iat"], receipt.claims.get("is_error")
    if type(issued) is not int or issued < 0:
        raise BadJOSE("iat is not a NumericDate in whole seconds")
    if not isinstance(is_error, bool):
        raise BadJOSE("is_error is neither true nor false")
    return ToolReceipt(
        id=receipt.text("jti"),
        issuer=receipt.text("iss"),
        audience=receipt.text("aud"),
        issued_at=from_numeric_date(issued),
        principal=receipt.text("sub"),
        principal_kind=receipt.text("sub_profile"),
        principal_namespace=receipt.text("sub_iss"),
        actors=parse_act(receipt.claims.get("act")),
        resource=receipt.text("resource"),
        tool=receipt.text("tool"),
        argument_digest=receipt.text("argument_digest"),
        result_digest=receipt.text("result_digest"),
        is_error=is_error,
        decision=receipt.text("decision"),
        policy=_optional(receipt, "policy"),
        request_id=receipt.text("request_id"),
        evidence=_optional(receipt, "evidence"),
    )


def _optional(receipt: VerifiedJWT, name: str) -> str | None:
    return receipt.text(name) if name in receipt.claims else None
