"""OAuth on the wire: requests in, and the one map from errors to the standard's codes (RFC 6749, 5.2; RFC 8693)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse

from bridge.api.client_certificates import shown_certificate
from bridge.model import OAuthRequest
from did_agent import errors
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import Parameters, request_id

# The first class that fits wins.
_CODES: Final[Mapping[type[errors.DidAgentError], str]] = {
    errors.UnsupportedGrantType: "unsupported_grant_type",
    errors.UnsupportedDetails: "invalid_authorization_details",
    errors.DetailsRefused: "invalid_authorization_details",
    errors.ClientNotAuthenticated: "invalid_client",
    errors.WrongChallenge: "use_attestation_challenge",
    errors.BadDPoPProof: "invalid_dpop_proof",
    errors.DPoPNonceNeeded: "use_dpop_nonce",
    errors.BadGrant: "invalid_grant",
    errors.BadBindingMessage: "invalid_binding_message",
    errors.PolledTooSoon: "slow_down",
    errors.AuthorizationPending: "authorization_pending",
    errors.RequestExpired: "expired_token",
    errors.ConsentDenied: "access_denied",
    errors.ActorUnauthorized: "actor_unauthorized",
    errors.UnauthorizedClient: "unauthorized_client",
    errors.UnknownResource: "invalid_target",
    errors.EmptyGrant: "invalid_scope",
    errors.BadClientMetadata: "invalid_client_metadata",
    errors.BadRedirectURI: "invalid_redirect_uri",
    errors.QuotaExceeded: "quota_exceeded",
    errors.Malformed: "invalid_request",
    errors.Unavailable: "temporarily_unavailable",
}
# What a proof that is not believed is called depends on the door it came through.
_DOORS: Final = {
    "client_credentials": "invalid_client",
    "authorization_code": "invalid_grant",
    "jwt_bearer": "invalid_grant",
    "refresh_token": "invalid_grant",
    "ciba": "invalid_grant",
    "backchannel": "invalid_client",
}
_STATUS: Final = {"invalid_client": 401, "temporarily_unavailable": 503, "quota_exceeded": 429}
# As much of the reason as helps an honest caller; which check failed stays in the audit log.
_REASONS: Final = {
    errors.Expired: "vp_expired",
    errors.NotYetValid: "vp_expired",
    errors.Replayed: "vp_replayed",
    errors.WrongChallenge: "vp_challenge",
    errors.Revoked: "vp_revoked",
    errors.Suspended: "vp_suspended",
    errors.VerificationError: "vp_not_accepted",
}
_TOLD: Final = (errors.Malformed, errors.EmptyGrant, errors.UnknownResource)  # faults of the request: said in full
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


def oauth_request(parameters: Parameters, request: Request) -> OAuthRequest:
    """Return what the token and authorization endpoints judge."""
    values = {name: found[0] for name, found in parameters.values.items() if found and name != "resource"}
    audience = values.pop("audience", None)
    certificate = shown_certificate(request.scope)
    return OAuthRequest(
        parameters=values,
        resources=(*parameters.all("resource"), *([audience] if audience else [])),
        authorization=request.headers.get("authorization"),
        request_id=request_id(request),
        dpop=tuple(request.headers.getlist("dpop")),
        certificate=None if certificate is None else certificate.der,
        certificate_vouched=certificate is not None and certificate.vouched,
    )


def error_code(error: errors.DidAgentError, *, door: str) -> str:
    """Return the OAuth error code of an error at a door."""
    named = next((code for family, code in _CODES.items() if isinstance(error, family)), None)
    return named or _DOORS.get(door, "invalid_request")


def oauth_error(
    error: errors.DidAgentError, request: Request, *, door: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the error answer of an OAuth endpoint, with our stable code and the request id beside."""
    code = error_code(error, door=door)
    answer = {
        "error": code,
        "error_description": _UNSAFE.sub("?", _description(error, code))[:300],
        "code": error.code,
        "request_id": request_id(request),
    }
    extra = {"Pragma": "no-cache", **(headers or {})}
    if code == "invalid_client" and "authorization" in request.headers:
        extra["WWW-Authenticate"] = 'Basic realm="did-agent"'
    if code == "temporarily_unavailable":
        extra["Retry-After"] = RETRY_AFTER
    status = 413 if isinstance(error, errors.TooLarge) else _STATUS.get(code, 400)
    return JSONResponse(answer, status_code=status, headers=extra)


def _description(error: errors.DidAgentError, code: str) -> str:
    if isinstance(error, _TOLD) and error.detail:
        return error.detail
    if isinstance(error, errors.VerificationError) and code in ("invalid_request", "use_attestation_challenge"):
        reason = next(word for family, word in _REASONS.items() if isinstance(error, family))
        return f"{reason}: {error.public}"
    # A client or grant that is refused is refused in the same words whatever was wrong (OAU-15).
    same = {"invalid_client": errors.ClientNotAuthenticated.public, "invalid_grant": errors.BadGrant.public}
    return same.get(code, error.public)
