"""`/organisations` and `/proposals`: who shares the deployment, and what waits for a second admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.openapi import ANY, FLAG, MAYBE, TEXT, Answer, Operation, Schema, listed, one_of, record
from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed
from issuer.access import ADMINS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.requests import position_of, position_text
from issuer.api.routes import Handler, Replay, Route
from issuer.api.schemas import Reason
from issuer.model import Operator
from issuer.model.organisations import Control, Organisation, Proposal
from issuer.service.organisations import Organisations

Resources = Annotated[list[Annotated[StrictStr, Field(min_length=1, max_length=2_048)]], Field(max_length=64)]


class CreateOrganisation(BaseModel):
    """A new tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[StrictStr, Field(min_length=1, max_length=63)]
    title: Annotated[StrictStr, Field(max_length=256)] = ""
    resources: Resources = []


class Entrust(BaseModel):
    """At which resources an organisation may grant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resources: Resources


class Controls(BaseModel):
    """What takes two people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dual_control: Annotated[list[Control], Field(max_length=8)]


_ORGANISATION_MEMBERS: Final[dict[str, Schema]] = {
    "name": TEXT,
    "title": TEXT,
    "resources": listed(TEXT),
    "did": TEXT,
    "state": one_of("active", "suspended"),
    "dual_control": listed(TEXT),
    "created": TEXT,
}
_ORGANISATION: Final = record(**_ORGANISATION_MEMBERS)
_PROPOSAL: Final = record(
    id=TEXT, control=TEXT, action=TEXT, method=TEXT, path=TEXT, body=TEXT, by=TEXT, proposed=TEXT, expires=TEXT,
    verdict=TEXT, decided_by=MAYBE,
)  # fmt: skip
WAITS: Final = Answer("Waits for a second admin.", record(proposal=TEXT, expires=TEXT))  # where that is set
ORGANISATIONS: Final[dict[str, Operation]] = {
    "POST /organisations": Operation(
        summary="Make an organisation",
        answers={201: Answer("Made.", _ORGANISATION), 202: WAITS},
        body=CreateOrganisation,
        auth=("operator",),
    ),
    "GET /organisations": Operation(
        summary="List organisations",
        answers={200: Answer("Those that may be seen.", record(organisations=listed(_ORGANISATION), next=MAYBE))},
        auth=("operator",),
    ),
    **{
        f"POST /organisations/{{identifier}}/{verb}": Operation(
            summary=f"{verb.capitalize()} an organisation",
            answers={
                200: Answer("Done.", record(**_ORGANISATION_MEMBERS, propagated=FLAG)),
                **({202: WAITS} if verb == "resume" else {}),
            },
            body=Reason,
            auth=("operator",),
        )
        for verb in ("suspend", "resume")
    },
    "PUT /organisations/{identifier}/resources": Operation(
        summary="Say at which resources an organisation may grant",
        answers={200: Answer("Said.", _ORGANISATION), 202: WAITS},
        body=Entrust,
        auth=("operator",),
    ),
    "PUT /dual-control": Operation(
        summary="Say what takes two people",
        answers={200: Answer("Said.", _ORGANISATION), 202: WAITS},
        body=Controls,
        auth=("operator",),
    ),
    "GET /proposals": Operation(
        summary="List what waits for a second admin, or did",
        answers={200: Answer("The newest first.", record(proposals=listed(_PROPOSAL), next=MAYBE))},
        query={"limit": {"type": "integer", "minimum": 1, "maximum": 100}, "after": TEXT},
        auth=("operator",),
    ),
    "POST /proposals/{identifier}/approve": Operation(
        summary="Approve a proposal of another admin, and do it",
        answers={200: Answer("Done; the answer is that of the request.", ANY), 201: Answer("Done.", ANY)},
        auth=("operator",),
    ),
    "POST /proposals/{identifier}/reject": Operation(
        summary="Reject a proposal", answers={200: Answer("Rejected.", _PROPOSAL)}, auth=("operator",)
    ),
}
_CHANGES: Final[tuple[Literal["suspend", "resume"], ...]] = ("suspend", "resume")


def proposal_out(proposal: Proposal) -> dict[str, object]:
    """Return the wire form of a proposal."""
    return {
        "id": proposal.id,
        "control": proposal.control,
        "action": proposal.action,
        "method": proposal.method,
        "path": proposal.path,
        "body": proposal.body,
        "by": proposal.by,
        "proposed": format_timestamp(proposal.proposed),
        "expires": format_timestamp(proposal.expires),
        "verdict": proposal.verdict,
        "decided_by": proposal.decided_by,
    }


def routes(service: Organisations, cursors: Cursors) -> Sequence[Route]:
    """Return the routes."""
    return (*_organisation_routes(service), *_proposal_routes(service, cursors))


def _organisation_routes(service: Organisations) -> Sequence[Route]:
    def shown(one: Organisation) -> dict[str, object]:
        return {
            "name": one.name,
            "title": one.title,
            "resources": list(one.resources),
            "did": service.office.did_of(one.name),
            "state": "suspended" if one.suspended else "active",
            "dual_control": sorted(one.dual_control),
            "created": format_timestamp(one.created),
        }

    async def create(request: Request, by: Operator) -> Response:
        body = await read_json(request, CreateOrganisation)
        made = await service.create(body.name, body.title, body.resources, by=by)
        return JSONResponse(shown(made), status_code=201)

    async def entrust(request: Request, by: Operator) -> Response:
        body = await read_json(request, Entrust)
        return JSONResponse(shown(await service.entrust(request.path_params["identifier"], body.resources, by=by)))

    async def organisations(_request: Request, by: Operator) -> Response:
        return JSONResponse({"organisations": [shown(one) for one in await service.list(by=by)], "next": None})

    def changing(change: Literal["suspend", "resume"]) -> Handler:
        async def handler(request: Request, by: Operator) -> Response:
            body, name = await read_json(request, Reason), request.path_params["identifier"]
            do = service.suspend if change == "suspend" else service.resume
            changed, heard = await do(name, reason=body.reason, by=by)
            return JSONResponse({**shown(changed), "propagated": heard})

        return handler

    async def control(request: Request, by: Operator) -> Response:
        body = await read_json(request, Controls)
        return JSONResponse(shown(await service.control(frozenset(body.dual_control), by=by)))

    return (
        Route(
            method="POST",
            path="/organisations",
            action="organisation.create",
            access=ADMINS,
            handler=create,
            control="trust",
            controlled_when=_entrusts,
        ),
        Route(method="GET", path="/organisations", action="organisation.list", access=READERS, handler=organisations),
        *(
            Route(
                method="POST",
                path=f"/organisations/{{identifier}}/{change}",
                action=f"organisation.{change}",
                access=ADMINS,
                handler=changing(change),
                control="switch" if change == "resume" else None,  # stopping is for whoever sees the need first
            )
            for change in _CHANGES
        ),
        Route(
            method="PUT",
            path="/organisations/{identifier}/resources",
            action="organisation.entrust",
            access=ADMINS,
            handler=entrust,
            control="trust",
        ),
        Route(
            method="PUT",
            path="/dual-control",
            action="organisation.control",
            access=ADMINS,
            handler=control,
            control="control",
        ),
    )


async def _entrusts(request: Request, _by: Operator) -> bool:
    """Tell whether a new organisation comes with a line of trust; a request that cannot be read is refused anyway."""
    try:
        return bool(parse_object(await request.body()).get("resources"))
    except Malformed:
        return False


def _proposal_routes(service: Organisations, cursors: Cursors) -> Sequence[Route]:
    listing = Listing(cursors=cursors, name="proposals")

    async def proposals(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.proposals(after=position_of(page.after), limit=page.limit, by=by)
        following = page.next(found, position_text(found[-1].proposed, found[-1].id) if found else None)
        return JSONResponse({"proposals": [proposal_out(one) for one in found], "next": following})

    def deciding(verdict: Literal["approved", "rejected"]) -> Callable[[Request, Operator], Awaitable[Response]]:
        async def decide(request: Request, by: Operator) -> Response:
            decided = await service.decide(request.path_params["identifier"], verdict, by=by)
            if verdict == "rejected":
                return JSONResponse(proposal_out(decided))
            replay: Replay = request.app.state.replay  # does what was asked for, as if the request came now
            return await replay(request, decided, by)

        return decide

    one = "/proposals/{identifier}"
    return (
        Route(method="GET", path="/proposals", action="proposal.list", access=READERS, handler=proposals),
        Route(
            method="POST",
            path=f"{one}/approve",
            action="proposal.approve",
            access=ADMINS,
            handler=deciding("approved"),
        ),
        Route(
            method="POST", path=f"{one}/reject", action="proposal.reject", access=ADMINS, handler=deciding("rejected")
        ),
    )
