"""Blueprints and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, read_query
from did_agent.errors import InvalidParameter
from issuer.access import MANAGERS, OWNERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.registry import found
from issuer.api.routes import COUNTING, Route
from issuer.api.schemas import agent_out
from issuer.api.schemas_registry import (
    ChangeMembers,
    Instantiate,
    PutGroup,
    PutTemplate,
    group_out,
    template_of,
    template_out,
)
from issuer.enrolment import INVITATION_LIFE
from issuer.model import Operator, State
from issuer.service.grouping import Groups
from issuer.service.registry import Registry
from issuer.service.templates import Templates


def template_routes(service: Templates, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of blueprints."""
    listing = Listing(cursors=cursors, name="templates")

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutTemplate)
        wanted = template_of(request.path_params["identifier"], body, now=service.office.clock())
        return JSONResponse(template_out(await service.put(wanted, by=by)))

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        kept = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(kept, kept[-1].name if kept else None)
        return JSONResponse({"templates": [template_out(one) for one in kept], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        query = read_query(request)
        version = query.get("version")
        if query.values.keys() - {"version"} or (version is not None and not COUNTING.fullmatch(version)):
            raise InvalidParameter("version: a number from 1")
        number = None if version is None else int(version)
        return JSONResponse(template_out(await service.show(request.path_params["identifier"], version=number, by=by)))

    async def instantiate(request: Request, by: Operator) -> Response:
        body = await read_json(request, Instantiate)
        made = await service.instantiate(request.path_params["identifier"], names=body.names, count=body.count, by=by)
        seconds = int(INVITATION_LIFE.total_seconds())
        invited = [
            {
                **agent_out(agent),
                "enrolment": {"challenge": challenge, "domain": service.office.url, "expires_in": seconds},
            }
            for agent, challenge in made
        ]
        return JSONResponse({"agents": invited}, status_code=201)

    one = "/templates/{identifier}"
    return (
        Route(method="GET", path="/templates", action="template.list", access=READERS, handler=listed),
        Route(method="PUT", path=one, action="template.put", access=MANAGERS, handler=put),
        Route(method="GET", path=one, action="template.show", access=READERS, handler=show),
        Route(
            method="POST",
            path=f"{one}/instances",
            action="template.instantiate",
            access=OWNERS,
            handler=instantiate,
        ),
    )


def group_routes(service: Groups, registry: Registry, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of groups."""
    listing = Listing(cursors=cursors, name="groups")
    within = Listing(cursors=cursors, name="members", filters=("state",), states=get_args(State))

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutGroup)
        return JSONResponse(group_out(await service.put(request.path_params["identifier"], body.description, by=by)))

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        kept = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(kept, kept[-1].name if kept else None)
        return JSONResponse({"groups": [group_out(one) for one in kept], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(group_out(await service.show(request.path_params["identifier"], by=by)))

    async def remove(request: Request, by: Operator) -> Response:
        name = request.path_params["identifier"]
        await service.remove(name, by=by)
        return JSONResponse({"name": name, "removed": True})

    async def members(request: Request, by: Operator) -> Response:
        name = request.path_params["identifier"]
        await service.show(name, by=by)
        return await found(registry, within.page(request, by, of=name), by, group=name)

    async def change(request: Request, by: Operator) -> Response:
        body, name = await read_json(request, ChangeMembers), request.path_params["identifier"]
        changed = await service.change(name, add=body.add, remove=body.remove, by=by)
        return JSONResponse({"name": name, "changed": changed})

    one = "/groups/{identifier}"
    return (
        Route(method="GET", path="/groups", action="group.list", access=READERS, handler=listed),
        Route(method="PUT", path=one, action="group.put", access=MANAGERS, handler=put),
        Route(method="GET", path=one, action="group.show", access=READERS, handler=show),
        Route(method="DELETE", path=one, action="group.remove", access=MANAGERS, handler=remove),
        Route(method="GET", path=f"{one}/members", action="group.members", access=READERS, handler=members),
        Route(method="POST", path=f"{one}/members", action="group.change", access=MANAGERS, handler=change),
    )
