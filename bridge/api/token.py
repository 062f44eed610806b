"""`/token` and `/challenge` (OAuth 2.1, RFC 8693)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.wire import error_code, oauth_error, oauth_request
from bridge.grants.token_exchange import ACCESS_TOKEN_TYPE
from bridge.service.tokens import Tokens
from did_agent.adapters.web_input import read_form
from did_agent.errors import DidAgentError
from did_agent.tokens.challenges import CHALLENGE_SECONDS

CHALLENGE_HEADER: Final = "OAuth-Client-Attestation-Challenge"
NONCE_HEADER: Final = "DPoP-Nonce"
_NO_CACHE: Final = {"Pragma": "no-cache"}


def endpoint(tokens: Tokens) -> Callable[[Request], Awaitable[Response]]:
    """Return the token endpoint."""

    def refuse(error: DidAgentError, request: Request, door: str = "") -> Response:
        code = error_code(error, door=door)
        headers = {CHALLENGE_HEADER: tokens.challenge()} if code == "use_attestation_challenge" else {}
        if code == "use_dpop_nonce":
            headers[NONCE_HEADER] = tokens.nonce()
        return oauth_error(error, request, door=door, headers=headers)

    async def token(request: Request) -> Response:
        door = ""
        try:
            asked = oauth_request(await read_form(request), request)
            door = tokens.door(asked.get("grant_type"))
            issued = await tokens.issue(asked)
        except DidAgentError as error:
            return refuse(error, request, door)
        answer = {
            "access_token": issued.access_token,
            "token_type": issued.token_type,
            "expires_in": issued.expires_in,
            "scope": issued.scope,
            **({"issued_token_type": ACCESS_TOKEN_TYPE} if door == "token_exchange" else {}),
            **({"refresh_token": issued.refresh_token} if issued.refresh_token else {}),
            **({"authorization_details": issued.authorization_details} if issued.authorization_details else {}),
            **({"task": issued.task} if issued.task else {}),
        }
        fresh = {NONCE_HEADER: tokens.nonce()} if tokens.demands_nonces and asked.dpop else {}
        return JSONResponse(answer, headers={**_NO_CACHE, **fresh})

    return token


def routes(tokens: Tokens, *, issuer: str) -> APIRouter:
    """Return the routes that agents call."""
    router = APIRouter()

    async def challenge(_request: Request) -> Response:
        value = tokens.challenge()
        names = {"attestation_challenge": value, "c_nonce": value}
        return JSONResponse({**names, "expires_in": CHALLENGE_SECONDS, "domain": issuer}, headers=_NO_CACHE)

    for path, function in (("/token", endpoint(tokens)), ("/challenge", challenge)):
        router.add_api_route(path, function, methods=["POST"], response_model=None)
    return router
