"""Credentials: issue, list, show and revoke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.credential.capability import parse_bare_capability
from issuer.access import MANAGERS, READERS
from issuer.api.routes import Route, asked
from issuer.api.schemas import IssueCredential, Reason, grant_out
from issuer.model import GrantState, Operator
from issuer.service.granting import Granting


def routes(service: Granting) -> Sequence[Route]:
    """Return the routes of credentials."""

    async def issue(request: Request, by: Operator) -> Response:
        body = await read_json(request, IssueCredential)
        grant = await service.issue(
            request.path_params["identifier"],
            [parse_bare_capability(capability) for capability in body.capabilities],
            valid_seconds=body.valid_seconds,
            max_depth=body.max_depth,
            on_behalf_of=body.on_behalf_of,
            cryptosuite=body.cryptosuite,
            by=by,
        )
        return JSONResponse({"credential": grant.document}, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        query, limit = asked(request, "agent", "state", states=get_args(GrantState))
        state = cast("GrantState | None", query.get("state"))
        grants = await service.list(agent=query.get("agent"), state=state, limit=limit, by=by)
        now = service.office.clock()
        return JSONResponse({"credentials": [grant_out(grant, grant.state_at(now)) for grant in grants]})

    async def show(request: Request, by: Operator) -> Response:
        grant = await service.show(request.path_params["identifier"], by=by)
        return JSONResponse(grant_out(grant, grant.state_at(service.office.clock())))

    async def revoke(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        grant, heard = await service.revoke(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse({"id": grant.id, "state": "revoked", "propagated": heard})

    one = "/credentials/{identifier}"
    return (
        Route(
            method="POST",
            path="/agents/{identifier}/credentials",
            action="credential.issue",
            access=MANAGERS,
            handler=issue,
        ),
        Route(method="GET", path="/credentials", action="credential.list", access=READERS, handler=listed),
        Route(method="GET", path=one, action="credential.show", access=READERS, handler=show),
        Route(method="POST", path=f"{one}/revoke", action="credential.revoke", access=MANAGERS, handler=revoke),
    )
