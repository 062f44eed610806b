"""Routes of the issuer, each with the scope it needs; a route without a policy cannot be written (WEB-01)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast, get_args

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import Parameters, bearer, plain_app, read_json, read_query, request_id
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.context import capability_context_document
from did_agent.credential.published_schema import published_bytes, published_schemas
from did_agent.did.key import did_key
from did_agent.encoding.digest import digest_uri
from did_agent.errors import DidAgentError, InvalidParameter, NotFound, Unavailable
from issuer.api.schemas import CreateAgent, Enrol, IssueCredential, Reason, agent_out, grant_out
from issuer.enrolment import INVITATION_LIFE
from issuer.granting import LIST_TTL
from issuer.model import Change, GrantState, NewAgent, Operator, State
from issuer.service import IssuerService
from verifier.http import bearer_alone
from verifier.model import Admission
from verifier.service import Verifier, require_scope

ADMIN: Final = "issuer:admin"
READ: Final = "registry:read"
PUBLIC: Final = "public"  # needs no token: anyone may read it, or the request proves itself
SCHEMAS: Final = "https://w3id.org/did-agent/schemas"
_CACHED: Final = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}
_PAGE: Final = 100  # rows of one answer
_MAX_TARGET: Final = 256  # characters of a path that a refusal records; an identifier is never longer
_COUNTING: Final = re.compile("[1-9][0-9]{0,5}")
_CHANGES: Final[dict[str, Change]] = {"suspend": "suspend", "resume": "resume", "retire": "retire"}

Handler = Callable[[Request, Operator], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route and its policy: any of the scopes opens it."""

    method: str
    path: str
    action: str
    scopes: tuple[str, ...]
    handler: Handler


def issuer_api(service: IssuerService, verifier: Verifier) -> FastAPI:
    """Return the issuer's API.

    Raises: ValueError when a route declares no policy.
    """
    app = plain_app(title="did-agent issuer")
    for route in routes(service):
        if not route.scopes:
            raise ValueError(f"{route.method} {route.path} declares no policy")
        app.add_api_route(route.path, _guarded(route, service, verifier), methods=[route.method])
    return app


def _guarded(route: Route, service: IssuerService, verifier: Verifier) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        by = Operator(request_id=request_id(request))
        try:
            if route.scopes != (PUBLIC,):
                admission = await verifier.admit(bearer_alone(bearer(request)))
                by = _operator(admission, request)  # before the scope is judged: a refusal names whom it refused
                if not admission.caller.scopes & frozenset(route.scopes):
                    require_scope(admission, route.scopes[0])
            return await route.handler(request, by)
        except DidAgentError as error:
            if route.method != "GET" or not isinstance(error, NotFound):
                await _record(service, error, route, request, by)
            raise

    return endpoint


async def _record(service: IssuerService, error: DidAgentError, route: Route, request: Request, by: Operator) -> None:
    if isinstance(error, Unavailable):
        return  # the store that would keep the record is what is missing; nothing happened
    target = request.path_params.get("identifier", "")[:_MAX_TARGET] or None
    await service.record_refusal(error, action=route.action, target=target, by=by)


def _operator(admission: Admission, request: Request) -> Operator:
    caller = admission.caller
    return Operator(
        principal=caller.principal.id,
        kind=caller.principal.kind,
        client_id=caller.client_id,
        token_id=admission.token_id,
        request_id=request_id(request),
        actors=caller.actors,
    )


def routes(service: IssuerService) -> Sequence[Route]:  # noqa: C901, PLR0915  # one short handler per route
    """Return all routes of the issuer."""

    async def create_agent(request: Request, by: Operator) -> Response:
        body = await read_json(request, CreateAgent)
        new = NewAgent(
            name=body.name,
            sponsor=body.sponsor,
            description=body.description,
            metadata=body.metadata,
            redirect_uris=tuple(body.redirect_uris),
        )
        agent, challenge = await service.create_agent(new, by=by)
        seconds = int(INVITATION_LIFE.total_seconds())
        enrolment = {"challenge": challenge, "domain": service.url, "expires_in": seconds}
        return JSONResponse({**agent_out(agent), "enrolment": enrolment}, status_code=201)

    async def enrol(request: Request, _by: Operator) -> Response:
        body = await read_json(request, Enrol)
        agent_id = request.path_params["identifier"]
        agent, credential = await service.enrol(agent_id, body.presentation, request_id=request_id(request))
        return JSONResponse({**agent_out(agent), "identity_credential": credential}, status_code=201)

    async def list_agents(request: Request, _by: Operator) -> Response:
        query, limit = _asked(request, "name", "state", "after", "limit", states=get_args(State))
        async with service.store.work() as work:
            found = await work.agents(
                name=query.get("name"), state=query.get("state"), after=query.get("after") or "", limit=limit
            )
        following = found[-1].agent_id if len(found) == limit else None
        return JSONResponse({"agents": [agent_out(agent) for agent in found], "next": following})

    async def show_agent(request: Request, _by: Operator) -> Response:
        async with service.store.work() as work:
            agent = await work.agent(request.path_params["identifier"])
        if agent is None:
            raise NotFound("there is no such agent")
        return JSONResponse(agent_out(agent))

    async def change_agent(request: Request, by: Operator) -> Response:
        change = _CHANGES.get(request.path_params["change"])
        if change is None:
            raise NotFound("an agent is suspended, resumed or retired")
        body = await read_json(request, Reason)
        agent, heard = await service.change_state(request.path_params["identifier"], change, reason=body.reason, by=by)
        return JSONResponse({**agent_out(agent), "propagated": heard})

    async def issue_credential(request: Request, by: Operator) -> Response:
        body = await read_json(request, IssueCredential)
        grant = await service.issue_credential(
            request.path_params["identifier"],
            [parse_bare_capability(capability) for capability in body.capabilities],
            valid_seconds=body.valid_seconds,
            max_depth=body.max_depth,
            on_behalf_of=body.on_behalf_of,
            cryptosuite=body.cryptosuite,
            by=by,
        )
        return JSONResponse({"credential": grant.document}, status_code=201)

    async def list_credentials(request: Request, _by: Operator) -> Response:
        query, limit = _asked(request, "agent", "state", "limit", states=get_args(GrantState))
        now, named, state = service.clock(), query.get("agent"), cast("GrantState | None", query.get("state"))
        async with service.store.work() as work:
            agent = None if named is None else await work.agent(named)
            if named is not None and agent is None:
                raise NotFound("there is no such agent")
            found = None if agent is None else agent.agent_id
            grants = await work.grants(agent_id=found, state=state, now=now, limit=limit)
        return JSONResponse({"credentials": [grant_out(grant, grant.state_at(now)) for grant in grants]})

    async def show_credential(request: Request, _by: Operator) -> Response:
        async with service.store.work() as work:
            grant = await work.grant(request.path_params["identifier"])
        if grant is None:
            raise NotFound("there is no such credential")
        return JSONResponse(grant_out(grant, grant.state_at(service.clock())))

    async def revoke_credential(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        identifier = request.path_params["identifier"]
        grant, heard = await service.revoke_credential(identifier, reason=body.reason, by=by)
        return JSONResponse({"id": grant.id, "state": "revoked", "propagated": heard})

    async def standing(request: Request, _by: Operator) -> Response:
        agent, grants = await service.standing(request.path_params["identifier"])
        return JSONResponse({**agent_out(agent), "credentials": [grant.document for grant in grants]})

    async def status_list(request: Request, _by: Operator) -> Response:
        purpose, number = request.path_params["purpose"], request.path_params["number"]
        if purpose not in ("revocation", "suspension") or not _COUNTING.fullmatch(number):
            raise NotFound("there is no such status list")
        document = await service.status_list(purpose, int(number))
        return _cacheable(request, document, media_type="application/vc")

    async def context(request: Request, _by: Operator) -> Response:
        return _cacheable(request, capability_context_document(), media_type="application/ld+json")

    async def schema(request: Request, _by: Operator) -> Response:
        url = f"{SCHEMAS}/{request.path_params['name']}/v1"
        if url not in published_schemas():
            raise NotFound("there is no such schema")
        return Response(published_bytes(url), media_type="application/schema+json", headers=_CACHED)

    async def about(_request: Request, _by: Operator) -> Response:
        return JSONResponse({"did": did_key(service.key.public), "url": service.url})

    async def livez(_request: Request, _by: Operator) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request, _by: Operator) -> Response:
        async with service.store.work() as work:
            await work.notices(1)
        return JSONResponse({"status": "ok"})

    agent, credential = "/agents/{identifier}", "/credentials/{identifier}"
    table: tuple[tuple[str, str, str, tuple[str, ...], Handler], ...] = (
        ("POST", "/agents", "agent.create", (ADMIN,), create_agent),
        ("GET", "/agents", "agent.list", (ADMIN, READ), list_agents),
        ("GET", agent, "agent.show", (ADMIN, READ), show_agent),
        ("POST", agent + "/enrolment", "agent.enrol", (PUBLIC,), enrol),
        ("POST", agent + "/credentials", "credential.issue", (ADMIN,), issue_credential),
        ("POST", agent + "/{change}", "agent.change", (ADMIN,), change_agent),
        ("GET", "/credentials", "credential.list", (ADMIN,), list_credentials),
        ("GET", credential, "credential.show", (ADMIN,), show_credential),
        ("POST", credential + "/revoke", "credential.revoke", (ADMIN,), revoke_credential),
        ("GET", "/registry/{identifier}", "registry.read", (READ,), standing),
        ("GET", "/status-lists/{purpose}/{number}", "status.read", (PUBLIC,), status_list),
        ("GET", "/contexts/capability/v1", "context.read", (PUBLIC,), context),
        ("GET", "/schemas/{name}/v1", "schema.read", (PUBLIC,), schema),
        ("GET", "/.well-known/did-agent-issuer", "about", (PUBLIC,), about),
        ("GET", "/livez", "livez", (PUBLIC,), livez),
        ("GET", "/readyz", "readyz", (PUBLIC,), readyz),
    )
    return [
        Route(method=method, path=path, action=action, scopes=scopes, handler=handler)
        for method, path, action, scopes, handler in table
    ]


def _asked(request: Request, *names: str, states: Sequence[str]) -> tuple[Parameters, int]:
    query = read_query(request)
    limit, state = query.get("limit") or str(_PAGE), query.get("state")
    if query.values.keys() - set(names) or state not in (None, *states):
        raise InvalidParameter(f"known are {', '.join(names)}; a state is {', '.join(states)}")
    if not _COUNTING.fullmatch(limit) or int(limit) > _PAGE:
        raise InvalidParameter(f"limit: 1 to {_PAGE}")
    return query, int(limit)


def _cacheable(request: Request, document: object, *, media_type: str) -> Response:
    body = JSONResponse(document).body
    tag = f'"{digest_uri(bytes(body))[-43:]}"'
    headers = {
        "Cache-Control": f"public, max-age={int(LIST_TTL.total_seconds())}",
        "ETag": tag,
        "Access-Control-Allow-Origin": "*",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
