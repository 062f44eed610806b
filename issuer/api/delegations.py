"""Delegations: agents register and revoke what they make for others, operators see who handed what to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from did_agent.encoding.timestamp import parse_timestamp
from issuer.access import AGENT, OWNERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.routes import Route, asked
from issuer.api.schemas import Reason
from issuer.model import Operator
from issuer.model.status import Delegation, NewDelegation
from issuer.service.delegations import Delegations
from issuer.status_lists import entries_of

Name = Annotated[StrictStr, Field(min_length=1, max_length=256)]


class RegisterDelegation(BaseModel):
    """What an agent says of a credential before it signs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    parent: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    subject: Name
    valid_until: Annotated[StrictStr, Field(min_length=20, max_length=40)]

    def new(self) -> NewDelegation:
        """Return what is registered.

        Raises: BadTimestamp.
        """
        until = parse_timestamp(self.valid_until)
        return NewDelegation(id=self.id, parent_id=self.parent, subject=self.subject, valid_until=until)


def routes(service: Delegations, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of delegations."""

    async def register(request: Request, by: Operator) -> Response:
        body = await read_json(request, RegisterDelegation)
        made = await service.register(body.new(), by=by)
        entries = [entry.to_json() for entry in entries_of(made.place, service.office.url)]
        return JSONResponse({**_out(made), "credentialStatus": entries}, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        query, limit = asked(request, "agent", "to", "parent", "after")
        narrowed = {name: query.get(name) for name in ("agent", "to", "parent")}
        question = {"delegations": "", **narrowed}
        cursor = query.get("after")
        position = cursors.read(cursor, organisation=by.organisation, query=question) if cursor else [""]
        found = await service.list(**narrowed, after=str(position[0]), limit=limit, by=by)
        rest = len(found) == limit
        following = cursors.make([found[-1].id], organisation=by.organisation, query=question) if rest else None
        return JSONResponse({"delegations": [_out(one) for one in found], "next": following})

    async def revoke(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        made, ended, heard = await service.revoke(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse({**_out(made), "ended": ended, "propagated": heard})

    path = "/delegations"
    return (
        Route(method="POST", path=path, action="delegation.register", access=AGENT, handler=register),
        Route(method="GET", path=path, action="delegation.list", access=READERS | AGENT, handler=listed),
        Route(
            method="POST",
            path="/delegations/{identifier}/revoke",
            action="delegation.revoke",
            access=OWNERS | AGENT,
            handler=revoke,
        ),
    )


def _out(made: Delegation) -> dict[str, object]:
    return {
        "id": made.id,
        "agent_id": made.agent_id,
        "delegator": made.delegator,
        "parent": made.parent_id,
        "subject": made.subject,
        "depth": made.depth,
        "valid_until": format_timestamp(made.valid_until),
        "revoked": None if made.revoked is None else format_timestamp(made.revoked),
    }
