"""`/lendings`: whose agents may act for people and agents of another organisation."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.model.lending import Lending
from bridge.service.administration import Administration
from bridge.service.lending import LendingAdministration
from did_agent.adapters.web_input import bearer, request_id
from did_agent.clock import format_timestamp


def routes(administration: Administration, lendings: LendingAdministration) -> APIRouter:
    """Return the routes, all for `bridge:admin`."""
    router = APIRouter()

    async def listed(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"lendings": [_shown(one) for one in await lendings.lendings()]})

    async def lending(request: Request, giver: str, taker: str) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "DELETE":
            await lendings.remove(giver, taker, by=by, request_id=request_id(request))
            return Response(status_code=204)
        return JSONResponse(_shown(await lendings.put(giver, taker, by=by, request_id=request_id(request))))

    router.add_api_route("/lendings", listed, methods=["GET"], response_model=None)
    router.add_api_route("/lendings/{giver}/{taker}", lending, methods=["PUT", "DELETE"], response_model=None)
    return router


def _shown(lending: Lending) -> dict[str, object]:
    return {"giver": lending.giver, "taker": lending.taker, "since": format_timestamp(lending.since)}
