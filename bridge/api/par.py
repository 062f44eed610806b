"""`/par`: pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.wire import oauth_error, oauth_request
from bridge.authorization_request import Refusal
from bridge.pushed_requests import REQUEST_SECONDS
from bridge.service.pushing import Pushing
from did_agent.adapters.web_input import read_form, request_id
from did_agent.errors import DidAgentError


def routes(pushing: Pushing) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    async def push(request: Request) -> Response:
        try:
            pushed = await pushing.push(oauth_request(await read_form(request), request))
        except DidAgentError as error:
            return oauth_error(error, request, door="par")
        if isinstance(pushed, Refusal):
            answer = {"error": pushed.error, "error_description": pushed.description}
            return JSONResponse({**answer, "request_id": request_id(request)}, status_code=400)
        return JSONResponse({"request_uri": pushed, "expires_in": REQUEST_SECONDS}, status_code=201)

    router.add_api_route("/par", push, methods=["POST"], response_model=None)
    return router
