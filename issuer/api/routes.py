"""Routes of the issuer, each with who may use it; a route without a policy cannot be written (WEB-01)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path
from starlette.types import Message, Receive

from did_agent.adapters.web_input import Parameters, bearer, plain_app, read_query, request_id
from did_agent.clock import format_timestamp
from did_agent.encoding.digest import digest_uri
from did_agent.errors import BadJOSE, DidAgentError, InvalidParameter, NotFound, Unavailable
from did_agent.presentation.form import TYP
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from issuer.access import KNOWN, PUBLIC, Access, require_access, roles_of
from issuer.model import Operator
from issuer.model.organisations import Control, Proposal
from issuer.service.callers import AgentCallers
from issuer.service.office import Office
from issuer.service.organisations import Organisations
from issuer.service.principals import Principals
from verifier.http import bearer_alone
from verifier.model import Admission
from verifier.service import Verifier

PAGE: Final = 100  # rows of one answer
MAX_TARGET: Final = 256  # characters of a path that a refusal records; an identifier is never longer
COUNTING: Final = re.compile("[1-9][0-9]{0,5}")

Handler = Callable[[Request, Operator], Awaitable[Response]]
Replay = Callable[[Request, Proposal, Operator], Awaitable[Response]]
Controlled = Callable[[Request, Operator], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route and its policy: any of the roles opens it."""

    method: str
    path: str
    action: str
    access: Access
    handler: Handler
    control: Control | None = None  # what it takes two people for, where the organisation says so
    controlled_when: Controlled | None = None  # for which requests; None: for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Tells who asks: an operator or a party by its token, an agent by a proof of its key."""

    verifier: Verifier
    agents: AgentCallers
    organisations: Organisations
    principals: Principals

    async def identify(self, request: Request) -> Operator:
        """Return who asks.

        Raises: Malformed, VerificationError, Denied leaves, Unavailable.
        """
        credential = bearer(request)
        if _is_presentation(credential):
            return await self.agents.agent(credential, request_id=request_id(request))
        by = _operator(await self.verifier.admit(bearer_alone(credential)), request)
        return await self.principals.note(await self.organisations.require_known(by))


def issuer_api(routes: Sequence[Route], callers: Callers, office: Office) -> FastAPI:
    """Return the issuer's API.

    Raises: ValueError when a route declares no policy.
    """
    app = plain_app(title="did-agent issuer")
    for route in routes:
        if not route.access or not route.access <= KNOWN:
            raise ValueError(f"{route.method} {route.path} declares no policy")
        app.add_api_route(route.path, _guarded(route, callers, office), methods=[route.method])
    app.state.replay = _replaying(routes)
    return app


def _guarded(route: Route, callers: Callers, office: Office) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        by = Operator(request_id=request_id(request))
        try:
            if route.access != PUBLIC:
                by = await callers.identify(request)  # before its role is judged: a refusal names whom it refused
                require_access(by, route.access)
                # What opened the door alone counts behind it: who also reads as an auditor writes as a sponsor.
                by = replace(by, roles=by.roles & route.access)
            if await _is_controlled(route, callers.organisations, request, by):
                return await _propose(route, callers.organisations, request, by)
            return await route.handler(request, by)
        except DidAgentError as error:
            if route.method != "GET" or not isinstance(error, NotFound):
                await _record(office, error, route, request, by)
            raise

    return endpoint


async def _is_controlled(route: Route, organisations: Organisations, request: Request, by: Operator) -> bool:
    if not await organisations.controlled(route.control, by):
        return False
    return route.controlled_when is None or await route.controlled_when(request, by)


async def _propose(route: Route, organisations: Organisations, request: Request, by: Operator) -> Response:
    if route.control is None or request.scope.get("query_string"):
        raise InvalidParameter("what takes two people is asked for without a query")
    body = (await request.body()).decode("utf-8", errors="replace")
    made = await organisations.propose(
        route.control, route.action, route.method, str(request.scope["path"]), body, by=by
    )
    return JSONResponse({"proposal": made.id, "expires": format_timestamp(made.expires)}, status_code=202)


def _replaying(routes: Sequence[Route]) -> Replay:
    """Return what does a proposed request, as it was sent, as if the second admin had sent it."""
    places = [(route, compile_path(route.path)[0]) for route in routes if route.control is not None]

    async def replay(request: Request, proposal: Proposal, by: Operator) -> Response:
        for route, pattern in places:
            found = pattern.match(proposal.path) if route.method == proposal.method else None
            if found is not None:
                again = {
                    **request.scope,
                    "method": proposal.method,
                    "path": proposal.path,
                    "path_params": found.groupdict(),
                    "query_string": b"",
                    "headers": [(b"content-type", b"application/json")],
                }
                return await route.handler(Request(again, _once(proposal.body.encode())), by)
        raise NotFound("what was proposed is not offered any more")

    return replay


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _record(office: Office, error: DidAgentError, route: Route, request: Request, by: Operator) -> None:
    if isinstance(error, Unavailable):
        return  # the store that would keep the record is what is missing; nothing happened
    target = request.path_params.get("identifier", "")[:MAX_TARGET] or None
    await office.record_refusal(error, action=route.action, target=target, by=by)


def _is_presentation(credential: str) -> bool:
    try:
        return parse_compact(credential, max_bytes=MAX_TOKEN).type == TYP
    except BadJOSE:
        return False


def _operator(admission: Admission, request: Request) -> Operator:
    caller = admission.caller
    return Operator(
        organisation=admission.organisation,
        roles=roles_of(caller.scopes),
        principal=caller.principal.id,
        kind=caller.principal.kind,
        client_id=caller.client_id,
        token_id=admission.token_id,
        request_id=request_id(request),
        actors=caller.actors,
    )


def asked(request: Request, *names: str, states: Sequence[str] = ()) -> tuple[Parameters, int]:
    """Return the query of a list and how many rows of it are wanted.

    Raises: InvalidParameter for a name that is not known here.
    """
    query = read_query(request)
    limit, state = query.get("limit") or str(PAGE), query.get("state")
    if query.values.keys() - {*names, "limit"} or state not in (None, *states):
        raise InvalidParameter(f"known are {', '.join(names)}, limit; a state is {', '.join(states)}")
    if not COUNTING.fullmatch(limit) or int(limit) > PAGE:
        raise InvalidParameter(f"limit: 1 to {PAGE}")
    return query, int(limit)


def cacheable(request: Request, document: object, *, media_type: str, max_age: int) -> Response:
    """Return a public document with its ETag, or that it is the same as before."""
    body = JSONResponse(document).body
    tag = f'"{digest_uri(bytes(body))[-43:]}"'
    headers = {"Cache-Control": f"public, max-age={max_age}", "ETag": tag, "Access-Control-Allow-Origin": "*"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
