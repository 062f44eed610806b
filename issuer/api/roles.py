"""Capability templates, roles, who has them, and what managers may grant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, read_query
from did_agent.errors import InvalidParameter
from issuer.access import ADMINS, MANAGERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.routes import COUNTING, Route
from issuer.api.schemas import Reason
from issuer.api.schemas_grants import (
    Assign,
    LearnTools,
    PutCapability,
    PutPolicy,
    PutRole,
    Unassign,
    assignment_out,
    policy_out,
    role_out,
    template_out,
)
from issuer.model import Operator
from issuer.model.grants import AgentRole, GrantingPolicy
from issuer.service.roles import Roles

_PARTS: Final = 3  # of where a list of assignments goes on


def capability_routes(service: Roles, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of capability templates and of the granting policy."""
    listing = Listing(cursors=cursors, name="capabilities")

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutCapability)
        made = await service.add_template(body.template(service.office.clock()), by=by)
        return JSONResponse(template_out(made), status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.templates(after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].name if found else None)
        return JSONResponse({"capabilities": [template_out(one) for one in found], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        query = read_query(request)
        version = query.get("version")
        if query.values.keys() - {"version"} or (version is not None and not COUNTING.fullmatch(version)):
            raise InvalidParameter("known is version, a number")
        name = request.path_params["identifier"]
        found = await service.template(name, version=None if version is None else int(version), by=by)
        return JSONResponse(template_out(found))

    async def withdraw(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        name = request.path_params["identifier"]
        ended, heard = await service.withdraw_template(name, reason=body.reason, by=by)
        return JSONResponse({"name": name, "revoked": len(ended), "propagated": heard})

    async def policy(_request: Request, by: Operator) -> Response:
        return JSONResponse(policy_out(await service.policy(by=by)))

    async def put_policy(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutPolicy)
        wanted = GrantingPolicy(
            max_valid_seconds=body.max_valid_seconds,
            manager_resources=tuple(body.manager_resources),
            separation=body.separation,
        )
        return JSONResponse(policy_out(await service.put_policy(wanted, by=by)))

    async def learn(request: Request, by: Operator) -> Response:
        body = await read_json(request, LearnTools)
        await service.learn_tools(body.resource, body.tools, by=by)
        return JSONResponse({"resource": body.resource, "tools": sorted(body.tools)})

    many, one, rules = "/capabilities", "/capabilities/{identifier}", "/granting-policy"
    table = (
        ("POST", many, "capability.put", ADMINS, put),
        ("GET", many, "capability.list", READERS, listed),
        ("GET", one, "capability.show", READERS, show),
        ("POST", f"{one}/withdraw", "capability.withdraw", ADMINS, withdraw),
        ("GET", rules, "granting-policy.show", READERS, policy),
        ("PUT", rules, "granting-policy.put", ADMINS, put_policy),
        ("PUT", "/known-tools", "known-tools.put", MANAGERS, learn),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]


def role_routes(service: Roles, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of roles and of who has them."""
    listing = Listing(cursors=cursors, name="roles")
    holders = Listing(cursors=cursors, name="assignments")

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutRole)
        wanted = AgentRole(
            name=body.name,
            description=body.description,
            templates=tuple(body.templates),
            created=service.office.clock(),
        )
        made, ended = await service.put_role(wanted, by=by)
        return JSONResponse({**role_out(made), "revoked": len(ended)}, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].name if found else None)
        return JSONResponse({"roles": [role_out(one) for one in found], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(role_out(await service.role(request.path_params["identifier"], by=by)))

    async def remove(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        name = request.path_params["identifier"]
        ended, heard = await service.remove(name, reason=body.reason, by=by)
        return JSONResponse({"name": name, "revoked": len(ended), "propagated": heard})

    async def assign(request: Request, by: Operator) -> Response:
        body = await read_json(request, Assign)
        wanted = body.to(request.path_params["identifier"], service.office.clock())
        return JSONResponse(assignment_out(await service.assign(wanted, by=by)), status_code=201)

    async def unassign(request: Request, by: Operator) -> Response:
        body = await read_json(request, Unassign)
        given = Assign(kind=body.kind, target=body.target)
        wanted = given.to(request.path_params["identifier"], service.office.clock())
        ended, heard = await service.unassign(wanted, reason=body.reason, by=by)
        return JSONResponse({"role": wanted.role, "revoked": len(ended), "propagated": heard})

    async def assignments(request: Request, by: Operator) -> Response:
        name = request.path_params["identifier"]
        page = holders.page(request, by, of=name)
        position = (page.after.split(" ", 2) + [""] * _PARTS)[:_PARTS]
        found = await service.assignments(
            role=name, after=(position[0], position[1], position[2]), limit=page.limit, by=by
        )
        last = found[-1] if found else None
        following = page.next(found, None if last is None else f"{last.role} {last.kind} {last.target}")
        return JSONResponse({"assignments": [assignment_out(one) for one in found], "next": following})

    many, one = "/roles", "/roles/{identifier}"
    table = (
        ("POST", many, "role.put", ADMINS, put),
        ("GET", many, "role.list", READERS, listed),
        ("GET", one, "role.show", READERS, show),
        ("POST", f"{one}/remove", "role.remove", ADMINS, remove),
        ("GET", f"{one}/assignments", "role.holders", READERS, assignments),
        ("POST", f"{one}/assign", "role.assign", MANAGERS, assign),
        ("POST", f"{one}/unassign", "role.unassign", MANAGERS, unassign),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]
