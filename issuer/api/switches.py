"""Kill switches: look how far they reach, turn them on, lift them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, read_query
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter, Malformed
from issuer.access import MANAGERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.routes import Route
from issuer.api.schemas import Reason
from issuer.api.schemas_registry import TurnOn, impact_out, switch_out
from issuer.model import Operator
from issuer.model.registry import Scope
from issuer.service.registry import Registry
from issuer.service.switches import Switches


def routes(service: Switches, registry: Registry, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of kill switches."""
    listing = Listing(cursors=cursors, name="switches", filters=("on",))

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        wanted = page.query.get("on")
        if wanted not in (None, "true", "false"):
            raise InvalidParameter("on: true or false")
        on = None if wanted is None else wanted == "true"
        kept = await service.list(on=on, after=page.after, limit=page.limit, by=by)
        following = page.next(kept, kept[-1].id if kept else None)
        return JSONResponse({"switches": [switch_out(one) for one in kept], "next": following})

    async def impact(request: Request, by: Operator) -> Response:
        query = read_query(request)
        scope, target = query.get("scope"), query.get("target") or ""
        if scope not in get_args(Scope) or query.values.keys() - {"scope", "target"}:
            raise InvalidParameter(f"scope is one of {', '.join(get_args(Scope))}; known besides is target")
        return JSONResponse(impact_out(await registry.impact_of_switch(cast("Scope", scope), target, by=by)))

    async def turn_on(request: Request, by: Operator) -> Response:
        body = await read_json(request, TurnOn)
        switch, heard = await service.kill(body.scope, body.target, reason=body.reason, by=by)
        return JSONResponse({**switch_out(switch), "propagated": heard}, status_code=201)

    async def starts_all(request: Request, by: Operator) -> bool:
        return await service.is_of_all(request.path_params["identifier"], by=by)

    async def lift(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        switch, resumed, heard = await service.lift(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse({**switch_out(switch), "resumed": resumed, "propagated": heard})

    many = "/kill-switches"
    return (
        Route(method="GET", path=many, action="switch.list", access=READERS, handler=listed),
        Route(method="GET", path=f"{many}/impact", action="switch.impact", access=READERS, handler=impact),
        Route(
            method="POST",
            path=many,
            action="switch.on",
            access=MANAGERS,
            handler=turn_on,
            control="switch",
            controlled_when=_stops_all,
        ),
        Route(
            method="POST",
            path=f"{many}/{{identifier}}/lift",
            action="switch.off",
            access=MANAGERS,
            handler=lift,
            control="switch",
            controlled_when=starts_all,
        ),
    )


async def _stops_all(request: Request, _by: Operator) -> bool:
    """Tell whether a request is about the whole organisation; one that cannot be read is refused anyway."""
    try:
        return parse_object(await request.body()).get("scope") == "organisation"
    except Malformed:
        return False
