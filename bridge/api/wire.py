"""OAuth on the wire: requests in, and the one map from errors to the standard's codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse

from bridge.model import OAuthRequest
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import Parameters, request_id
from did_agent.errors import (
    ActorUnauthorized,
    BadGrant,
    BadPresentation,
    ClientNotAuthenticated,
    ConsentDenied,
    DidAgentError,
    EmptyGrant,
    Expired,
    InsufficientScope,
    Malformed,
    NotYetValid,
    Replayed,
    Revoked,
    Suspended,
    TooLarge,
    UnauthorizedClient,
    Unavailable,
    UnknownResource,
    UnsupportedDetails,
    UnsupportedGrantType,
    VerificationError,
    WrongChallenge,
)

# The first class that fits wins.
_CODES: Final[Mapping[type[DidAgentError], str]] = {
    UnsupportedGrantType: "unsupported_grant_type",
    UnsupportedDetails: "invalid_authorization_details",
    ClientNotAuthenticated: "invalid_client",
    WrongChallenge: "use_attestation_challenge",
    BadGrant: "invalid_grant",
    ActorUnauthorized: "actor_unauthorized",
    UnauthorizedClient: "unauthorized_client",
    UnknownResource: "invalid_target",
    EmptyGrant: "invalid_scope",
    ConsentDenied: "access_denied",
    InsufficientScope: "invalid_scope",
    Malformed: "invalid_request",
    Unavailable: "temporarily_unavailable",
}
# What a proof that is not believed is called depends on the door it came through.
_DOORS: Final = {"client_credentials": "invalid_client", "authorization_code": "invalid_grant"}
# As much of the reason as helps an honest caller; which check failed stays in the audit log.
_REASONS: Final = (
    (Expired, "vp_expired"),
    (NotYetValid, "vp_expired"),
    (Replayed, "vp_replayed"),
    (WrongChallenge, "vp_challenge"),
    (Revoked, "vp_revoked"),
    (Suspended, "vp_suspended"),
    (BadPresentation, "vp_malformed"),
    (VerificationError, "vp_not_accepted"),
)
_NOT_A_VP: Final = (BadGrant, ClientNotAuthenticated)
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


def oauth_request(parameters: Parameters, request: Request) -> OAuthRequest:
    """Return what the token and authorization endpoints judge."""
    values = {name: found[0] for name, found in parameters.values.items() if found and name != "resource"}
    audience = values.pop("audience", None)
    return OAuthRequest(
        parameters=values,
        resources=(*parameters.all("resource"), *([audience] if audience else [])),
        authorization="authorization" in request.headers,
        request_id=request_id(request),
    )


def error_code(error: DidAgentError, *, door: str | None) -> str:
    """Return the OAuth error code of an error at a door."""
    for family, code in _CODES.items():
        if isinstance(error, family):
            return code
    return _DOORS.get(door or "", "invalid_request")


def oauth_error(
    error: DidAgentError, request: Request, *, door: str | None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the error answer of an OAuth endpoint (RFC 6749, 5.2), with our stable code and the request id beside."""
    code = error_code(error, door=door)
    status = {"invalid_client": 401, "temporarily_unavailable": 503}.get(
        code, 413 if isinstance(error, TooLarge) else 400
    )
    answer = {
        "error": code,
        "error_description": description(error),
        "code": error.code,
        "request_id": request_id(request),
    }
    extra = {"Pragma": "no-cache", **(headers or {})}
    if status == 401 and "authorization" in request.headers:
        extra["WWW-Authenticate"] = 'Basic realm="did-agent"'
    if status == 503:
        extra["Retry-After"] = RETRY_AFTER
    return JSONResponse(answer, status_code=status, headers=extra)


def description(error: DidAgentError) -> str:
    """Return what the caller may know, in the characters RFC 6749 allows.

    A fault of the request and the empty term of a grant are said in full; a failed proof only by its kind.
    """
    if isinstance(error, VerificationError) and not isinstance(error, _NOT_A_VP):
        reason = next(word for family, word in _REASONS if isinstance(error, family))
        text = f"{reason}: {error.public}"
    elif isinstance(error, Malformed | EmptyGrant | UnknownResource) and error.detail:
        text = error.detail
    else:
        text = error.public
    return _UNSAFE.sub("?", text)[:300]
