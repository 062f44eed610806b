"""Enrolment: the request proves itself."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, request_id
from issuer.access import PUBLIC
from issuer.api.routes import Route
from issuer.api.schemas import Enrol, agent_out
from issuer.model import Operator
from issuer.service.enrolment import Enrolments


def routes(service: Enrolments) -> Sequence[Route]:
    """Return the routes of enrolment."""

    async def enrol(request: Request, _by: Operator) -> Response:
        body = await read_json(request, Enrol)
        agent_id = request.path_params["identifier"]
        agent, credential = await service.enrol(agent_id, body.presentation, request_id=request_id(request))
        return JSONResponse({**agent_out(agent), "identity_credential": credential}, status_code=201)

    return (
        Route(
            method="POST",
            path="/agents/{identifier}/enrolment",
            action="agent.enrol",
            access=PUBLIC,
            handler=enrol,
        ),
    )
