"""The issuer's trust list, passed on as it was signed: guards that know the bridge alone hear it here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from did_agent.adapters.trust_list import PulledTrust
from did_agent.clock import Clock
from did_agent.encoding.digest import digest_uri
from did_agent.errors import NotFound
from did_agent.tokens.trust_list import MEDIA_TYPE, PATH

_MAX_AGE = 2  # s; whoever keeps it longer hears late of what was taken out


def routes(trust: PulledTrust, *, clock: Clock) -> APIRouter:
    """Return the route of the list."""
    router = APIRouter()

    async def show(request: Request) -> Response:
        text = trust.text(clock())
        if text is None:
            raise NotFound("no trust list is at hand")
        tag = f'"{digest_uri(text.encode())[-43:]}"'
        headers = {"Cache-Control": f"public, max-age={_MAX_AGE}", "ETag": tag, "Access-Control-Allow-Origin": "*"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(text, media_type=MEDIA_TYPE, headers=headers)

    router.add_api_route(PATH, show, methods=["GET"], response_model=None)
    return router
