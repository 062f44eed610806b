"""Attestation: rules about platforms, and workloads that come in by them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, request_id
from issuer.access import MANAGERS, PUBLIC, READERS
from issuer.api.cursors import Cursors
from issuer.api.enrolment import answer
from issuer.api.listing import Listing
from issuer.api.routes import Route
from issuer.api.schemas_enrolment import Attest, PutRule, rule_out
from issuer.model import Operator
from issuer.model.enrolment import AttestationRule
from issuer.service.attestation import Attestations


def routes(service: Attestations, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of attestation."""
    listing = Listing(cursors=cursors, name="attestation-rules")

    async def put(request: Request, by: Operator) -> Response:
        body = await read_json(request, PutRule)
        rule = AttestationRule(
            name=request.path_params["identifier"],
            created=service.office.clock(),
            by=by.principal or "",
            **{**body.model_dump(), "tags": tuple(sorted(set(body.tags))), "owner": body.owner or ""},
        )
        return JSONResponse(rule_out(await service.put(rule, by=by)))

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        found = await service.list(after=page.after, limit=page.limit, by=by)
        following = page.next(found, found[-1].name if found else None)
        return JSONResponse({"attestation_rules": [rule_out(one) for one in found], "next": following})

    async def remove(request: Request, by: Operator) -> Response:
        name = request.path_params["identifier"]
        await service.remove(name, by=by)
        return JSONResponse({"name": name, "removed": True})

    async def attest(request: Request, _by: Operator) -> Response:
        body = await read_json(request, Attest)
        enrolled = await service.enrol(
            body.attestation, body.possession, organisation=body.organisation, request_id=request_id(request)
        )
        return answer(enrolled)

    path = "/attestation-rules"
    one = f"{path}/{{identifier}}"
    return (
        Route(method="GET", path=path, action="attestation-rule.list", access=READERS, handler=listed),
        Route(method="PUT", path=one, action="attestation-rule.put", access=MANAGERS, handler=put),
        Route(method="DELETE", path=one, action="attestation-rule.remove", access=MANAGERS, handler=remove),
        Route(method="POST", path="/attestations", action="agent.attest", access=PUBLIC, handler=attest),
    )
