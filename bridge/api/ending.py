"""`/revoke` (RFC 7009), `/revoke-subject` (Global Token Revocation) and `/introspect` (RFC 7662, RFC 9701)."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.wire import oauth_error, oauth_request
from bridge.service.administration import Administration
from bridge.service.ending import Ending
from bridge.service.introspection import TYPE, Introspection
from did_agent.adapters.web_input import bearer, read_form, read_json, request_id
from did_agent.errors import DidAgentError, InvalidParameter

_JWT: Final = f"application/{TYPE}"
_NO_CACHE: Final = {"Pragma": "no-cache"}


class SubjectID(BaseModel):
    """A subject identifier (RFC 9493): of this bridge's own namespace, or a DID."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: Literal["iss_sub", "opaque", "did"]
    iss: str | None = Field(default=None, max_length=2_048)
    sub: str | None = Field(default=None, min_length=1, max_length=256)
    id: str | None = Field(default=None, min_length=1, max_length=256)
    url: str | None = Field(default=None, min_length=1, max_length=256)


class SubjectBody(BaseModel):
    """`POST /revoke-subject`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    sub_id: SubjectID


def routes(ending: Ending, introspection: Introspection, administration: Administration, *, issuer: str) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    async def revoke(request: Request) -> Response:
        try:
            await ending.revoke(oauth_request(await read_form(request), request))
        except DidAgentError as error:
            return oauth_error(error, request, door="")
        return Response(status_code=200)

    async def revoke_subject(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, SubjectBody)
        await ending.end_subject(_subject(body.sub_id, issuer), by=by, request_id=request_id(request))
        return Response(status_code=204)

    async def introspect(request: Request) -> Response:
        try:
            answer, client = await introspection.introspect(oauth_request(await read_form(request), request))
        except DidAgentError as error:
            return oauth_error(error, request, door="")
        wanted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
        if _JWT in wanted:
            return Response(introspection.signed(answer, client), media_type=_JWT, headers=_NO_CACHE)
        return JSONResponse(dict(answer), headers=_NO_CACHE)

    for path, endpoint in (("/revoke", revoke), ("/revoke-subject", revoke_subject), ("/introspect", introspect)):
        router.add_api_route(path, endpoint, methods=["POST"], response_model=None)
    return router


def _subject(named: SubjectID, issuer: str) -> str:
    wanted = {"iss_sub": (named.iss, named.sub), "opaque": (named.id,), "did": (named.url,)}[named.format]
    given = [value for value in (named.iss, named.sub, named.id, named.url) if value is not None]
    if None in wanted or len(given) != len(wanted) or (named.format == "iss_sub" and named.iss != issuer):
        raise InvalidParameter("sub_id does not have the members of its format, or names another issuer")
    if named.format == "did" and not str(named.url).startswith("did:"):
        raise InvalidParameter("sub_id is no DID")
    return str(wanted[-1])
