"""Credentials: issue one or many, list, show, renew, suspend, resume and revoke."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.encoding.digest import digest_uri
from did_agent.errors import InvalidParameter
from issuer.access import AGENT, MANAGERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.requests import position_of, position_text
from issuer.api.routes import Route
from issuer.api.schemas import IssueCredential, Reason, grant_out
from issuer.api.schemas_grants import IssueMany, Renew, entitlement_out, read_capabilities
from issuer.model import GrantState, Operator
from issuer.model.grants import Retry
from issuer.service.granting import Granting
from issuer.service.renewal import Renewals

_KEY: Final = re.compile(r"[!-~]{1,128}")


def routes(service: Granting, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of credentials."""
    listing = Listing(cursors=cursors, name="credentials", filters=("agent", "state"), states=get_args(GrantState))
    return [*_granting(service, listing), *_renewals(Renewals(office=service.office))]


def _granting(service: Granting, listing: Listing) -> Sequence[Route]:
    async def issue(request: Request, by: Operator) -> Response:
        body = await read_json(request, IssueCredential)
        grant = await service.issue(
            request.path_params["identifier"],
            read_capabilities(body.capabilities),
            template=body.template,
            valid_seconds=body.valid_seconds,
            max_depth=body.max_depth,
            renewable_seconds=body.renewable_seconds,
            on_behalf_of=body.on_behalf_of,
            cryptosuite=body.cryptosuite,
            retry=await _retry(request, by),
            by=by,
        )
        return JSONResponse({"credential": grant.document}, status_code=201)

    async def issue_many(request: Request, by: Operator) -> Response:
        body = await read_json(request, IssueMany)
        wanted = [entry.new() for entry in body.entries]
        made = await service.issue_many(wanted, retry=await _retry(request, by), by=by)
        return JSONResponse({"credentials": [grant.document for grant in made]}, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        page = listing.page(request, by)
        state = cast("GrantState | None", page.query.get("state"))
        grants = await service.list(
            agent=page.query.get("agent"), state=state, after=position_of(page.after), limit=page.limit, by=by
        )
        now = service.office.clock()
        following = page.next(grants, position_text(grants[-1].issued, grants[-1].id) if grants else None)
        shown = [grant_out(grant, grant.state_at(now)) for grant in grants]
        return JSONResponse({"credentials": shown, "next": following})

    async def show(request: Request, by: Operator) -> Response:
        grant = await service.show(request.path_params["identifier"], by=by)
        return JSONResponse(grant_out(grant, grant.state_at(service.office.clock())))

    async def revoke(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        grant, heard = await service.revoke(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse({"id": grant.id, "state": "revoked", "propagated": heard})

    def pause(change: Literal["suspend", "resume"]) -> Callable[[Request, Operator], Awaitable[Response]]:
        async def handler(request: Request, by: Operator) -> Response:
            body = await read_json(request, Reason)
            grant, heard = await service.pause(request.path_params["identifier"], change, reason=body.reason, by=by)
            state = grant.state_at(service.office.clock())
            return JSONResponse({"id": grant.id, "state": state, "propagated": heard})

        return handler

    many, one = "/credentials", "/credentials/{identifier}"
    table = (
        ("POST", "/agents/{identifier}/credentials", "credential.issue", MANAGERS, issue),
        ("POST", f"{many}/bulk", "credential.issue", MANAGERS, issue_many),
        ("GET", many, "credential.list", READERS, listed),
        ("GET", one, "credential.show", READERS, show),
        ("POST", f"{one}/suspend", "credential.suspend", MANAGERS, pause("suspend")),
        ("POST", f"{one}/resume", "credential.resume", MANAGERS, pause("resume")),
        ("POST", f"{one}/revoke", "credential.revoke", MANAGERS, revoke),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]


def _renewals(renewals: Renewals) -> Sequence[Route]:
    async def renew(request: Request, by: Operator) -> Response:
        body = await read_json(request, Renew)
        grant = await renewals.renew(request.path_params["identifier"], end_old=body.end_old, by=by)
        return JSONResponse({"credential": grant.document}, status_code=201)

    async def collect(_request: Request, by: Operator) -> Response:
        made = await renewals.collect(by.principal or "", by=by)
        return JSONResponse({"credentials": [grant.document for grant in made]}, status_code=201)

    async def collect_for(request: Request, by: Operator) -> Response:
        made = await renewals.collect(request.path_params["identifier"], by=by)
        return JSONResponse({"credentials": [grant.document for grant in made]}, status_code=201)

    async def entitlements(request: Request, by: Operator) -> Response:
        given = await renewals.entitlements(request.path_params["identifier"], by=by)
        return JSONResponse({"entitlements": [entitlement_out(one) for one in given]})

    table = (
        ("POST", "/agents/{identifier}/credentials/collect", "credential.collect", MANAGERS, collect_for),
        ("GET", "/agents/{identifier}/entitlements", "entitlement.list", READERS | AGENT, entitlements),
        ("POST", "/credentials/collect", "credential.collect", AGENT, collect),
        ("POST", "/credentials/{identifier}/renew", "credential.renew", AGENT, renew),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]


async def _retry(request: Request, by: Operator) -> Retry | None:
    """Return which request this is, where its sender may send it twice; each sender has keys of its own."""
    sent = request.headers.getlist("idempotency-key")
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise InvalidParameter("Idempotency-Key: 1 to 128 visible characters, once")
    named = json.dumps([by.principal, request.method, sent[0]]).encode()
    asked_for = request.url.path.encode() + b"\0" + await request.body()
    return Retry(key=digest_uri(named), digest=digest_uri(asked_for))
