"""The operator's routes: resources and people; and the public evidence behind tokens."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.model import Resource, User
from bridge.service.administration import DID_PREFIX, Administration
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.credential.capability import parse_bare_capability
from did_agent.errors import InvalidParameter


def _plain(text: str) -> str:
    # Names and words are shown where people decide: no invisible and no direction-changing characters (WEB-08).
    if unicodedata.normalize("NFC", text) != text or any(unicodedata.category(char)[0] == "C" for char in text):
        raise ValueError("control or invisible characters, or not NFC")
    return text


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]


class ResourceBody(BaseModel):
    """`PUT /resources`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    resource: str = Field(min_length=1, max_length=2_048)
    name: Name
    tools: dict[str, Words] = Field(max_length=64)


class UserBody(BaseModel):
    """`PUT /users/{username}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    password: str = Field(min_length=8, max_length=1_024, repr=False)
    rights: dict[str, list[str]] = Field(max_length=256)


def routes(administration: Administration) -> APIRouter:  # noqa: C901  # one short handler per route
    """Return the routes that need `bridge:admin`, and the public evidence."""
    router = APIRouter()

    async def list_resources(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"resources": [_resource(one) for one in await administration.resources()]})

    async def put_resource(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, ResourceBody)
        _require_capability(body.resource, list(body.tools))
        put = await administration.put_resource(
            body.resource, name=body.name, tools=body.tools, by=by, request_id=request_id(request)
        )
        return JSONResponse(_resource(put))

    async def list_users(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"users": [_user(one) for one in await administration.users()]})

    async def put_user(request: Request, username: str) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, UserBody)
        if not (username.isascii() and username.isprintable()) or len(username) > 128 or " " in username:
            raise InvalidParameter("username is not 1 to 128 visible ASCII characters")
        if username.lower().startswith(DID_PREFIX):
            raise InvalidParameter("a username does not look like a DID")
        for resource, tools in body.rights.items():
            _require_capability(resource, tools)
        put = await administration.put_user(
            username,
            name=body.name,
            password=body.password,
            rights=body.rights,
            by=by,
            request_id=request_id(request),
        )
        return JSONResponse(_user(put))

    async def delete_user(request: Request, username: str) -> Response:
        by = await administration.admit(bearer(request))
        await administration.delete_user(username, by=by, request_id=request_id(request))
        return Response(status_code=204)

    async def evidence(_request: Request, digest: str) -> Response:
        # The digest names the content, so the answer never changes.
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
        return JSONResponse({"credentials": list(await administration.evidence(digest))}, headers=headers)

    router.add_api_route("/resources", list_resources, methods=["GET"], response_model=None)
    router.add_api_route("/resources", put_resource, methods=["PUT"], response_model=None)
    router.add_api_route("/users", list_users, methods=["GET"], response_model=None)
    router.add_api_route("/users/{username:path}", put_user, methods=["PUT"], response_model=None)
    router.add_api_route("/users/{username:path}", delete_user, methods=["DELETE"], response_model=None)
    router.add_api_route("/evidence/{digest}", evidence, methods=["GET"], response_model=None)
    return router


def _require_capability(resource: str, tools: list[str]) -> None:
    # What a credential could not name, nobody could ever be allowed.
    parse_bare_capability({"resource": [resource], "tools": {tool: {} for tool in tools}})


def _resource(resource: Resource) -> dict[str, object]:
    return {
        "resource": resource.id,
        "name": resource.name,
        "scopes": dict(resource.scopes),
        "built_in": resource.built_in,
    }


def _user(user: User) -> dict[str, object]:
    rights = {
        resource: sorted(scope.removeprefix("tool:") for scope in scopes) for resource, scopes in user.rights.items()
    }
    return {"username": user.username, "name": user.name, "rights": rights}
