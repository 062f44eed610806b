"""Requests for rights: make, look at, approve, deny, take back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import InvalidParameter
from issuer.access import AGENT, MANAGERS, OWNERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.routes import Route
from issuer.api.schemas import Reason
from issuer.api.schemas_grants import Approve, MakeRequest, request_out
from issuer.model import Operator
from issuer.model.requests import Answer, RequestState
from issuer.service.requests import Requests


def routes(service: Requests, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of requests."""
    listing = Listing(
        cursors=cursors, name="requests", filters=("agent", "state"), states=tuple(get_args(RequestState))
    )

    async def create(request: Request, by: Operator) -> Response:
        body = await read_json(request, MakeRequest)
        agent = by.principal if by.roles == {"agent"} and body.agent is None else body.agent
        if agent is None:
            raise InvalidParameter("agent: say for which one")
        made = await service.create(body.new(agent), by=by)
        return JSONResponse(request_out(made, service.office.clock()), status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        state = cast("RequestState | None", page.query.get("state"))
        found = await service.list(
            state=state, agent=page.query.get("agent"), after=position_of(page.after), limit=page.limit, by=by
        )
        now = service.office.clock()
        following = page.next(found, position_text(found[-1].created, found[-1].id) if found else None)
        return JSONResponse({"requests": [request_out(one, now) for one in found], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        found, grant = await service.show(request.path_params["identifier"], by=by)
        document = None if grant is None else grant.document
        return JSONResponse({**request_out(found, service.office.clock()), "credential": document})

    async def approve(request: Request, by: Operator) -> Response:
        body = await read_json(request, Approve)
        identifier = request.path_params["identifier"]
        decided, grant = await service.approve(identifier, body.narrowing(), reason=body.reason, by=by)
        document = None if grant is None else grant.document
        return JSONResponse({**request_out(decided, service.office.clock()), "credential": document})

    def refuse(answer: Answer) -> Callable[[Request, Operator], Awaitable[Response]]:
        async def handler(request: Request, by: Operator) -> Response:
            body = await read_json(request, Reason)
            decided = await service.refuse(request.path_params["identifier"], answer, reason=body.reason, by=by)
            return JSONResponse(request_out(decided, service.office.clock()))

        return handler

    many, one = "/requests", "/requests/{identifier}"
    table = (
        ("POST", many, "request.create", OWNERS | AGENT, create),
        ("GET", many, "request.list", READERS | AGENT, listed),
        ("GET", one, "request.show", READERS | AGENT, show),
        ("POST", f"{one}/approve", "request.approve", MANAGERS, approve),
        ("POST", f"{one}/deny", "request.deny", MANAGERS, refuse("denied")),
        ("POST", f"{one}/withdraw", "request.withdraw", OWNERS | AGENT, refuse("withdrawn")),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]


def position_text(created: datetime, identifier: str) -> str:
    """Return where a list that is ordered by time goes on."""
    return f"{numeric_date(created)} {identifier}"


def position_of(after: str) -> tuple[datetime, str] | None:
    """Return the time and id that a list goes on behind; None from the beginning."""
    created, _, identifier = after.partition(" ")
    return (from_numeric_date(int(created)), identifier) if after else None
