"""Descriptions of forms, for consoles that know nothing of what they render."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_query
from did_agent.errors import InvalidParameter
from issuer.access import READERS
from issuer.api.routes import PAGE, Route
from issuer.forms import FORMS, describe_form
from issuer.model import Operator
from issuer.service.roles import Roles


def routes(service: Roles) -> Sequence[Route]:
    """Return the routes of forms."""

    async def listed(_request: Request, _by: Operator) -> Response:
        return JSONResponse({"forms": [{"form": name, "title": FORMS[name][0]} for name in sorted(FORMS)]})

    async def show(request: Request, by: Operator) -> Response:
        query = read_query(request)
        if query.values.keys() - {"resource"}:
            raise InvalidParameter("known is resource")
        resource = query.get("resource")
        resources, tools = await service.known_tools(resource, by=by)
        templates = await service.templates(after="", limit=PAGE, by=by)
        roles = await service.list(after="", limit=PAGE, by=by)
        described = describe_form(
            request.path_params["name"],
            resources=resources,
            resource=resource,
            tools=tools,
            templates=[one.name for one in templates],
            roles=[one.name for one in roles],
        )
        return JSONResponse(described)

    return (
        Route(method="GET", path="/forms", action="form.list", access=READERS, handler=listed),
        Route(method="GET", path="/forms/{name}", action="form.show", access=READERS, handler=show),
    )
