"""OpenID4VCI on the wire: the one map from errors to the codes of RFC 6749, RFC 6750 and OpenID4VCI 1.0, 8.3.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse

from did_agent import errors
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import request_id
from did_agent.tokens.key_proof import SIGNING_ALGORITHMS

# "access" is the door before all but the token endpoint: who shows a token that is no good hears it there.
Door = Literal["token", "access", "credential", "deferred", "notification"]

# The first class that fits wins; what is not here is what the door makes of it.
_CODES: Final[Mapping[type[errors.DidAgentError], str]] = {
    errors.UnsupportedGrantType: "unsupported_grant_type",
    errors.UnsupportedDetails: "invalid_authorization_details",
    errors.UnknownResource: "invalid_target",
    errors.BadGrant: "invalid_grant",
    errors.BadDPoPProof: "invalid_dpop_proof",
    errors.DPoPNonceNeeded: "use_dpop_nonce",
    errors.InsufficientScope: "insufficient_scope",
    errors.UnauthorizedClient: "insufficient_scope",
    errors.UnknownConfiguration: errors.UnknownConfiguration.code,
    errors.UnknownCredentialIdentifier: errors.UnknownCredentialIdentifier.code,
    errors.NoResponseEncryption: errors.NoResponseEncryption.code,
    errors.BadProofNonce: errors.BadProofNonce.code,
    errors.BadKeyProof: errors.BadKeyProof.code,
    errors.UnknownTransaction: errors.UnknownTransaction.code,
    errors.UnknownNotification: errors.UnknownNotification.code,
    errors.CredentialRequestDenied: errors.CredentialRequestDenied.code,
    errors.Unavailable: "temporarily_unavailable",
}
_MALFORMED: Final[Mapping[Door, str]] = {
    "token": "invalid_request",
    "access": "invalid_request",
    "credential": errors.BadCredentialRequest.code,
    "deferred": errors.BadCredentialRequest.code,
    "notification": errors.BadNotification.code,
}
_NOT_BELIEVED: Final[Mapping[Door, str]] = {"token": "invalid_grant", "access": "invalid_token"}
_STATUS: Final = {"invalid_token": 401, "insufficient_scope": 403, "temporarily_unavailable": 503}
_SCHEMES: Final = f'DPoP algs="{" ".join(SIGNING_ALGORITHMS)}"'
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


def error_code(error: errors.DidAgentError, door: Door) -> str:
    """Return the code of an error at a door."""
    named = next((code for family, code in _CODES.items() if isinstance(error, family)), None)
    if named is not None:
        return named
    if isinstance(error, errors.InvalidParameter) or (isinstance(error, errors.Malformed) and door != "access"):
        return _MALFORMED[door]
    # Whatever else stands in the way of issuing is a no.
    return _NOT_BELIEVED.get(door, errors.CredentialRequestDenied.code)


def wallet_error(error: errors.DidAgentError, request: Request, door: Door) -> JSONResponse:
    """Return the answer to a wallet, with our stable code and the request id beside the standard's words."""
    code = error_code(error, door)
    # What was wrong with a request its sender may know; what was wrong with a proof only the operator (OPS-03).
    told = error.detail if isinstance(error, errors.Malformed) and error.detail else error.public
    body = {
        "error": code,
        "error_description": _UNSAFE.sub("?", told)[:300],
        "code": error.code,
        "request_id": request_id(request),
    }
    status = 413 if isinstance(error, errors.TooLarge) else _STATUS.get(code, 400)
    if door == "access" and code in ("invalid_dpop_proof", "use_dpop_nonce"):
        status = 401
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else {}
    if status == 401:
        # Whoever showed nothing is told how, and not that it was wrong (RFC 6750, 3.1).
        said = "" if "authorization" not in request.headers else f', error="{code}"'
        headers["WWW-Authenticate"] = f"{_SCHEMES}{said}"
    return JSONResponse(body, status_code=status, headers=headers)
