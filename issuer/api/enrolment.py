"""Enrolment: the request proves itself; tokens for it, and owners' word on who waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, request_id
from did_agent.errors import InvalidParameter
from issuer.access import MANAGERS, OWNERS, PUBLIC, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.routes import Handler, Route
from issuer.api.schemas import Enrol, Reason, agent_out
from issuer.api.schemas_enrolment import (
    CreateToken,
    EnrolByToken,
    HandOut,
    Possession,
    PutPolicy,
    application_out,
    enrolled_out,
    policy_out,
    token_out,
)
from issuer.model import Operator
from issuer.model.enrolment import ApprovalPolicy, Enrolled, Verdict
from issuer.service.applications import Applications
from issuer.service.custody import Custody
from issuer.service.enrolment import Enrolments
from issuer.service.enrolment_tokens import EnrolmentTokens, NewToken

CREATED: Final = 201
ACCEPTED: Final = 202  # a key was proven and waits
_TOKEN: Final = "/enrolment-tokens/{identifier}"
_ONE: Final = "/enrolments/{identifier}"


def answer(enrolled: Enrolled) -> Response:
    """Return what an agent hears that enrolled, or waits."""
    return JSONResponse(enrolled_out(enrolled), status_code=CREATED if enrolled.waiting is None else ACCEPTED)


def routes(service: Enrolments) -> Sequence[Route]:
    """Return the routes of enrolment by invitation."""

    async def enrol(request: Request, _by: Operator) -> Response:
        body = await read_json(request, Enrol)
        agent_id = request.path_params["identifier"]
        return answer(await service.enrol(agent_id, body.presentation, request_id=request_id(request)))

    path = "/agents/{identifier}/enrolment"
    return (Route(method="POST", path=path, action="agent.enrol", access=PUBLIC, handler=enrol),)


def token_routes(service: EnrolmentTokens, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of enrolment tokens."""
    listing = Listing(cursors=cursors, name="enrolment-tokens")

    async def create(request: Request, by: Operator) -> Response:
        body = await read_json(request, CreateToken)
        new = NewToken(**{**body.model_dump(), "groups": tuple(body.groups)})
        token, secret = await service.create(new, by=by)
        return JSONResponse({**token_out(token), "token": secret}, status_code=CREATED)

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].id if found else None)
        return JSONResponse({"enrolment_tokens": [token_out(one) for one in found], "next": following})

    async def end(request: Request, by: Operator) -> Response:
        return JSONResponse(token_out(await service.end(request.path_params["identifier"], by=by)))

    async def enrol(request: Request, _by: Operator) -> Response:
        body = await read_json(request, EnrolByToken)
        return answer(await service.enrol(body.token, body.possession, name=body.name, request_id=request_id(request)))

    path = "/enrolment-tokens"
    return (
        Route(method="POST", path=path, action="enrolment-token.create", access=OWNERS, handler=create),
        Route(method="GET", path=path, action="enrolment-token.list", access=READERS, handler=listed),
        Route(method="DELETE", path=_TOKEN, action="enrolment-token.revoke", access=OWNERS, handler=end),
        Route(method="POST", path="/enrolments", action="agent.enrol", access=PUBLIC, handler=enrol),
    )


def application_routes(service: Applications, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of keys that wait."""
    listing = Listing(cursors=cursors, name="enrolments", filters=("verdict",))

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        verdict = page.query.get("verdict")
        if verdict not in (None, *get_args(Verdict)):
            raise InvalidParameter(f"verdict is one of {', '.join(get_args(Verdict))}")
        found = await service.list(verdict=verdict, after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].id if found else None)
        return JSONResponse({"enrolments": [application_out(one) for one in found], "next": following})

    async def state(request: Request, _by: Operator) -> Response:
        body = await read_json(request, Possession)
        found = await service.state(body.possession)
        return JSONResponse({"agent_id": found.agent_id, "did": found.did, "verdict": found.verdict})

    def deciding(decision: Literal["approve", "reject"]) -> Handler:
        async def handler(request: Request, by: Operator) -> Response:
            body, identifier = await read_json(request, Reason), request.path_params["identifier"]
            decide = service.approve if decision == "approve" else service.reject
            decided, agent = await decide(identifier, reason=body.reason, by=by)
            return JSONResponse({**application_out(decided), "agent": agent_out(agent)})

        return handler

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutPolicy)
        policy = ApprovalPolicy(template=body.template, needs_approval=body.needs_approval)
        return JSONResponse(policy_out(await service.put_policy(policy, by=by)))

    async def policies(_request: Request, by: Operator) -> Response:
        said = await service.policies(by=by)
        return JSONResponse({"policies": [policy_out(one) for one in said], "next": None})

    policy = "/enrolment-policies"
    return (
        Route(method="GET", path="/enrolments", action="enrolment.list", access=READERS, handler=listed),
        Route(method="POST", path="/enrolments/state", action="enrolment.state", access=PUBLIC, handler=state),
        Route(
            method="POST", path=f"{_ONE}/approve", action="agent.approve", access=OWNERS, handler=deciding("approve")
        ),
        Route(method="POST", path=f"{_ONE}/reject", action="agent.reject", access=OWNERS, handler=deciding("reject")),
        Route(method="PUT", path=policy, action="enrolment-policy.put", access=MANAGERS, handler=put),
        Route(method="GET", path=policy, action="enrolment-policy.list", access=READERS, handler=policies),
    )


def custody_routes(service: Custody) -> Sequence[Route]:
    """Return the route of custodial keys."""

    async def hand_out(request: Request, by: Operator) -> Response:
        body, identifier = await read_json(request, HandOut), request.path_params["identifier"]
        enrolled, sealed = await service.hand_out(
            identifier, recipient=body.recipient, passphrase=body.passphrase, by=by
        )
        return JSONResponse(
            {**agent_out(enrolled.agent), "identity_credential": enrolled.identity, "sealed_key": sealed},
            status_code=CREATED,
            headers={"Cache-Control": "no-store"},
        )

    path = "/agents/{identifier}/custodial-key"
    return (Route(method="POST", path=path, action="agent.custody", access=OWNERS, handler=hand_out),)
