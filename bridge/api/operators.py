"""`/operators`: who administers the agents of an organisation, and as what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.admin import Name
from bridge.model.operators import OperatorRole, OrganisationOperator
from bridge.service.administration import Administration
from bridge.service.operators import OperatorAdministration
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.clock import format_timestamp
from did_agent.did.key import parse_did_key
from did_agent.errors import InvalidParameter
from did_agent.tokens.access_token import HOME, ORGANISATION


class OperatorBody(BaseModel):
    """`PUT /operators/{did}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    organisation: Annotated[str, Field(min_length=1, max_length=63)]
    role: OperatorRole


def routes(administration: Administration, operators: OperatorAdministration) -> APIRouter:
    """Return the routes, all for `bridge:admin`."""
    router = APIRouter()

    async def listed(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"operators": [_shown(one) for one in await operators.operators()]})

    async def operator(request: Request, did: str) -> Response:
        by = await administration.admit(bearer(request))
        parse_did_key(did)
        if request.method == "DELETE":
            await operators.remove(did, by=by, request_id=request_id(request))
            return Response(status_code=204)
        body = await read_json(request, OperatorBody)
        if not ORGANISATION.fullmatch(body.organisation) or body.organisation == HOME:
            raise InvalidParameter(f"organisation: 1 to 63 of a-z 0-9 -, and not {HOME}, whose operators are fixed")
        wanted = OrganisationOperator(
            did=did, name=body.name, organisation=body.organisation, role=body.role, added=operators.clock()
        )
        return JSONResponse(_shown(await operators.put(wanted, by=by, request_id=request_id(request))))

    router.add_api_route("/operators", listed, methods=["GET"], response_model=None)
    router.add_api_route("/operators/{did:path}", operator, methods=["PUT", "DELETE"], response_model=None)
    return router


def _shown(operator: OrganisationOperator) -> dict[str, object]:
    return {
        "did": operator.did,
        "name": operator.name,
        "organisation": operator.organisation,
        "role": operator.role,
        "added": format_timestamp(operator.added),
    }
