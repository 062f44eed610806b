"""Agents: register, show, and change their state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from issuer.access import AGENT, OWNERS, READERS, SERVICE
from issuer.api.routes import Handler, Route
from issuer.api.schemas import CreateAgent, Reason, agent_out
from issuer.enrolment import INVITATION_LIFE
from issuer.model import Change, NewAgent, Operator
from issuer.service.agents import Agents

_CHANGES: Final[tuple[Change, ...]] = ("suspend", "resume", "retire")


def routes(service: Agents) -> Sequence[Route]:
    """Return the routes of agents."""

    async def create(request: Request, by: Operator) -> Response:
        body = await read_json(request, CreateAgent)
        new = NewAgent(
            name=body.name,
            sponsor=body.sponsor,
            owner=body.owner,
            description=body.description,
            metadata=body.metadata,
            redirect_uris=tuple(body.redirect_uris),
            tags=tuple(body.tags),
            groups=tuple(body.groups),
        )
        agent, challenge = await service.create(new, by=by)
        seconds = int(INVITATION_LIFE.total_seconds())
        enrolment = {"challenge": challenge, "domain": service.office.url, "expires_in": seconds}
        return JSONResponse({**agent_out(agent), "enrolment": enrolment}, status_code=201)

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(agent_out(await service.show(request.path_params["identifier"], by=by)))

    async def own(_request: Request, by: Operator) -> Response:
        agent, identity, grants = await service.self(by=by)
        credentials = [grant.document for grant in grants]
        return JSONResponse({**agent_out(agent), "identity_credential": identity, "credentials": credentials})

    async def standing(request: Request, _by: Operator) -> Response:
        agent, grants = await service.standing(request.path_params["identifier"])
        return JSONResponse({**agent_out(agent), "credentials": [grant.document for grant in grants]})

    def changing(change: Change) -> Handler:
        async def handler(request: Request, by: Operator) -> Response:
            body = await read_json(request, Reason)
            identifier = request.path_params["identifier"]
            agent, heard = await service.change_state(identifier, change, reason=body.reason, by=by)
            return JSONResponse({**agent_out(agent), "propagated": heard})

        return handler

    one = "/agents/{identifier}"
    return (
        Route(method="GET", path="/self", action="agent.self", access=AGENT, handler=own),
        Route(method="POST", path="/agents", action="agent.create", access=OWNERS, handler=create),
        Route(method="GET", path=one, action="agent.show", access=READERS | SERVICE, handler=show),
        *(
            Route(
                method="POST",
                path=f"{one}/{change}",
                action=f"agent.{change}",
                access=OWNERS,
                handler=changing(change),
            )
            for change in _CHANGES
        ),
        Route(method="GET", path="/registry/{identifier}", action="registry.read", access=SERVICE, handler=standing),
    )
