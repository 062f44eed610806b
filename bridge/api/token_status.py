"""`/status-lists/tokens/{number}`: what became of long-lived tokens, for whoever checks one."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bridge.service.token_status import LIST_TTL, TokenStatusLists
from did_agent.adapters.status import TOKEN_TYPE
from did_agent.errors import NotFound

_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")


def routes(lists: TokenStatusLists) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    async def show(request: Request, number: str) -> Response:
        if not _NUMBER.fullmatch(number):
            raise NotFound("there is no such status list")
        served = await lists.serve(int(number))
        tag = f'"{served.tag}"'
        headers = {
            "Cache-Control": f"public, max-age={int(LIST_TTL.total_seconds())}",
            "ETag": tag,
            "Access-Control-Allow-Origin": "*",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(served.token, media_type=TOKEN_TYPE, headers=headers)

    router.add_api_route("/status-lists/tokens/{number}", show, methods=["GET"], response_model=None)
    return router
