"""`/token`, `/revoke` and `/challenge` (OAuth 2.1, RFC 8693, RFC 7009)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.wire import error_code, oauth_error, oauth_request
from bridge.grants.token_exchange import ACCESS_TOKEN_TYPE
from bridge.model import CHALLENGE_SECONDS
from bridge.service.tokens import GRANTS, Tokens
from did_agent.adapters.web_input import read_form
from did_agent.errors import DidAgentError

_NO_CACHE = {"Pragma": "no-cache"}
CHALLENGE_HEADER = "OAuth-Client-Attestation-Challenge"


def routes(tokens: Tokens, *, issuer: str) -> APIRouter:
    """Return the routes that agents call."""
    router = APIRouter()

    def refuse(error: DidAgentError, request: Request, door: str | None) -> Response:
        fresh = error_code(error, door=door) == "use_attestation_challenge"
        return oauth_error(error, request, door=door, headers={CHALLENGE_HEADER: tokens.challenge()} if fresh else None)

    async def token(request: Request) -> Response:
        door = None
        try:
            asked = oauth_request(await read_form(request), request)
            door = GRANTS.get(asked.get("grant_type") or "")
            issued = await tokens.issue(asked)
        except DidAgentError as error:
            return refuse(error, request, door)
        answer: dict[str, object] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": issued.scope,
        }
        if issued.exchanged:
            answer["issued_token_type"] = ACCESS_TOKEN_TYPE
        return JSONResponse(answer, headers=_NO_CACHE)

    async def revoke(request: Request) -> Response:
        try:
            await tokens.revoke(oauth_request(await read_form(request), request))
        except DidAgentError as error:
            return refuse(error, request, None)
        return Response(status_code=200)

    async def challenge(_request: Request) -> Response:
        value = tokens.challenge()
        answer = {
            "attestation_challenge": value,
            "c_nonce": value,
            "expires_in": CHALLENGE_SECONDS,
            "domain": issuer,
        }
        return JSONResponse(answer, headers=_NO_CACHE)

    for path, endpoint in (("/token", token), ("/revoke", revoke), ("/challenge", challenge)):
        router.add_api_route(path, endpoint, methods=["POST"], response_model=None)
    return router
