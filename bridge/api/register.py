"""`/register`: clients register themselves (RFC 7591), and read and delete their registration (RFC 7592)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.wire import oauth_error
from bridge.model.registration import Registered
from bridge.registration import described
from bridge.service.registration import SelfRegistration
from did_agent.adapters.web_input import bearer, request_id, require_media_type
from did_agent.clock import numeric_date
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, NotAuthenticated, VerificationError

_NO_CACHE = {"Pragma": "no-cache"}


def offered(issuer: str) -> dict[str, object]:
    """Return the metadata of a bridge at which clients register themselves."""
    return {"registration_endpoint": f"{issuer}/register"}


def routes(registrations: SelfRegistration, *, issuer: str) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    async def register(request: Request) -> Response:
        try:
            require_media_type(request, "application/json")
            registered = await registrations.register(
                parse_object(await request.body()),
                initial=bearer(request) if "authorization" in request.headers else None,
                source=request.client.host if request.client else "",
                request_id=request_id(request),
            )
        except DidAgentError as error:
            return _refused(error, request)
        return JSONResponse(_shown(registered, issuer), status_code=201, headers=_NO_CACHE)

    async def registration(request: Request, client_id: str) -> Response:
        try:
            token = bearer(request)
            if request.method == "DELETE":
                await registrations.delete(client_id, token, request_id=request_id(request))
                return Response(status_code=204)
            return JSONResponse(_shown(await registrations.read(client_id, token), issuer), headers=_NO_CACHE)
        except DidAgentError as error:
            return _refused(error, request)

    router.add_api_route("/register", register, methods=["POST"], response_model=None)
    router.add_api_route("/register/{client_id}", registration, methods=["GET", "DELETE"], response_model=None)
    return router


def _shown(registered: Registered, issuer: str) -> dict[str, object]:
    return {
        **described(registered.client),
        "client_id_issued_at": numeric_date(registered.registered),
        "registration_access_token": registered.token,
        "registration_client_uri": f"{issuer}/register/{registered.client.id}",
    }


def _refused(error: DidAgentError, request: Request) -> Response:
    if not isinstance(error, VerificationError):
        return oauth_error(error, request, door="register")
    # The token is a bearer token (RFC 6750, 3), not client authentication.
    code = "" if isinstance(error, NotAuthenticated) else ' error="invalid_token"'
    answer = {"error": "invalid_token", "code": error.code, "request_id": request_id(request)}
    return JSONResponse(answer, status_code=401, headers={**_NO_CACHE, "WWW-Authenticate": f"Bearer{code}"})
