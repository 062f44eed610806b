"""`/principals`: who can own agents of the organisation, and whom each may name as sponsor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.openapi import MAYBE, TEXT, Answer, Operation, listed, record
from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from issuer.access import ADMINS, MANAGERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.routes import Route
from issuer.model import Operator
from issuer.model.principals import Principal
from issuer.service.principals import Principals


class NamePrincipal(BaseModel):
    """Whom a principal may name as sponsor, beside itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sponsors: Annotated[list[Annotated[StrictStr, Field(min_length=1, max_length=512)]], Field(max_length=32)] = []


_PRINCIPAL: Final = record(
    principal=TEXT, roles=listed(TEXT), seen=MAYBE, sponsors=listed(TEXT), named_by=MAYBE
)  # fmt: skip
PRINCIPALS: Final[dict[str, Operation]] = {
    "GET /principals": Operation(
        summary="List who can own agents",
        answers={200: Answer("A page of them.", record(principals=listed(_PRINCIPAL), next=MAYBE))},
        query={"limit": {"type": "integer", "minimum": 1, "maximum": 100}, "after": TEXT},
        auth=("operator",),
    ),
    "PUT /principals/{identifier}": Operation(
        summary="Name a principal, and whom it may name as sponsor",
        answers={200: Answer("Named.", _PRINCIPAL)},
        body=NamePrincipal,
        auth=("operator",),
    ),
    "DELETE /principals/{identifier}": Operation(
        summary="Forget a principal", answers={204: Answer("Forgotten.")}, auth=("operator",)
    ),
}


def routes(service: Principals, cursors: Cursors) -> Sequence[Route]:
    """Return the routes."""
    listing = Listing(cursors=cursors, name="principals")

    async def kept(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].id if found else None)
        return JSONResponse({"principals": [principal_out(one) for one in found], "next": following})

    async def name(request: Request, by: Operator) -> Response:
        body = await read_json(request, NamePrincipal)
        return JSONResponse(principal_out(await service.name(request.path_params["identifier"], body.sponsors, by=by)))

    async def forget(request: Request, by: Operator) -> Response:
        await service.forget(request.path_params["identifier"], by=by)
        return Response(status_code=204)

    one = "/principals/{identifier}"
    return (
        Route(method="GET", path="/principals", action="principal.list", access=MANAGERS | {"auditor"}, handler=kept),
        Route(method="PUT", path=one, action="principal.name", access=ADMINS, handler=name),
        Route(method="DELETE", path=one, action="principal.forget", access=ADMINS, handler=forget),
    )


def principal_out(principal: Principal) -> dict[str, object]:
    """Return the wire form of a principal."""
    return {
        "principal": principal.id,
        "roles": sorted(principal.roles),
        "seen": None if principal.seen is None else format_timestamp(principal.seen),
        "sponsors": list(principal.sponsors),
        "named_by": principal.named_by,
    }
