"""Agents' keys: rotate, recover, list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.openapi import ANY, MAYBE, TEXT, WHOLE, Answer, Operation, Schema, listed, record
from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from issuer.access import AGENT, OWNERS, READERS, SERVICE
from issuer.api.routes import Route
from issuer.api.schemas import Reason, agent_out
from issuer.enrolment import INVITATION_LIFE
from issuer.model import Operator
from issuer.model.keys import AgentKey
from issuer.service.rotation import Rotation

Token = Annotated[StrictStr, Field(min_length=1, max_length=16_384)]


class Rotate(BaseModel):
    """The old key's word, and the new key's answer to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement: Token
    possession: Token


def key_out(key: AgentKey) -> dict[str, object]:
    """Return the wire form of a key."""
    return {
        "did": key.did,
        "added": format_timestamp(key.added),
        "ended": None if key.ended is None else format_timestamp(key.ended),
        "why": key.why,
        "statement": key.statement,
    }


def key_operations(agent: Mapping[str, Schema]) -> dict[str, Operation]:
    """Return what the endpoints take and answer (OpenAPI 3.1); `agent` are the members of an agent."""
    held = {**agent, "identity_credential": ANY, "credentials": listed(ANY)}
    invited = {**agent, "enrolment": record(challenge=TEXT, domain=TEXT, expires_in=WHOLE)}
    key = record(did=TEXT, added=TEXT, ended=MAYBE, why=MAYBE, statement=MAYBE)
    return {
        "GET /self": Operation(
            summary="What the asking agent is and holds",
            answers={200: Answer("Found.", record(**held))},
            auth=("agent",),
        ),
        "POST /agents/{identifier}/keys": Operation(
            summary="Take the key that the agent's own key names",
            answers={201: Answer("Taken.", record(**held))},
            body=Rotate,
            auth=("agent",),
        ),
        "GET /agents/{identifier}/keys": Operation(
            summary="List an agent's keys",
            answers={200: Answer("The newest first.", record(keys=listed(key), next=MAYBE))},
            auth=("operator", "agent"),
        ),
        "GET /registry/{identifier}/keys": Operation(
            summary="Which keys came before and after one of an agent's",
            answers={200: Answer("Found.", record(agent_id=TEXT, did=MAYBE, handed_over=MAYBE, keys=listed(key)))},
            auth=("reader",),
        ),
        "POST /agents/{identifier}/recovery": Operation(
            summary="End a lost key and invite the agent anew",
            answers={201: Answer("Ended, with the invitation.", record(**invited))},
            body=Reason,
            auth=("operator",),
        ),
    }


def routes(service: Rotation) -> Sequence[Route]:
    """Return the routes of keys."""

    async def rotate(request: Request, by: Operator) -> Response:
        body = await read_json(request, Rotate)
        identifier = request.path_params["identifier"]
        done = await service.rotate(identifier, body.statement, body.possession, by=by)
        credentials = [grant.document for grant in done.grants]
        answer = {**agent_out(done.agent), "identity_credential": done.identity, "credentials": credentials}
        return JSONResponse(answer, status_code=201)

    async def recover(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        agent, challenge = await service.recover(request.path_params["identifier"], reason=body.reason, by=by)
        seconds = int(INVITATION_LIFE.total_seconds())
        enrolment = {"challenge": challenge, "domain": service.office.url, "expires_in": seconds}
        return JSONResponse({**agent_out(agent), "enrolment": enrolment}, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        keys = await service.keys(request.path_params["identifier"], by=by)
        return JSONResponse({"keys": [key_out(key) for key in keys], "next": None})

    async def succession(request: Request, _by: Operator) -> Response:
        found = await service.succession(request.path_params["identifier"])
        moved = None if found.handed_over is None else format_timestamp(found.handed_over)
        answer = {"agent_id": found.agent.agent_id, "did": found.agent.did, "handed_over": moved}
        return JSONResponse({**answer, "keys": [key_out(key) for key in found.keys]})

    path = "/agents/{identifier}/keys"
    recovery = "/agents/{identifier}/recovery"
    return (
        Route(method="POST", path=path, action="agent.rotate", access=AGENT, handler=rotate),
        Route(method="GET", path=path, action="agent.keys", access=READERS | AGENT, handler=listed),
        Route(
            method="GET",
            path="/registry/{identifier}/keys",
            action="registry.keys",
            access=SERVICE,
            handler=succession,
        ),
        Route(method="POST", path=recovery, action="agent.recover", access=OWNERS, handler=recover),
    )
