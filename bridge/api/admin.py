"""The operator's routes: resources and people; and the public evidence behind tokens."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.model import Resource, User
from bridge.model.operators import OperatorRole
from bridge.service.administration import Administration
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.credential.capability import parse_bare_capability, tool_scope
from did_agent.errors import InvalidParameter
from did_agent.tokens.access_token import HOME, ORGANISATION


def is_plain(text: str) -> bool:
    """Tell whether a text has no invisible and no direction-changing characters: people decide by it (WEB-08)."""
    return unicodedata.normalize("NFC", text) == text and all(unicodedata.category(char)[0] != "C" for char in text)


def _plain(text: str) -> str:
    if not is_plain(text):
        raise ValueError("control or invisible characters, or not NFC")
    return text


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]
OrganisationName = Annotated[str, Field(pattern=f"^{ORGANISATION.pattern}$")]
Roles = Annotated[list[OperatorRole], Field(max_length=4)]


class ResourceBody(BaseModel):
    """`PUT /resources`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    resource: str
    name: Name
    tools: dict[str, Words]
    binding: Literal["any", "required"] = "any"
    admits: Literal["agents", "clients"] = "agents"
    signing_alg: Literal["EdDSA", "ES256", "RS256"] = "EdDSA"
    organisation: OrganisationName = HOME
    shared_with: list[OrganisationName] = Field(default_factory=list, max_length=64)


class UserBody(BaseModel):
    """`PUT /users/{username}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    password: str = Field(min_length=8, max_length=1_024, repr=False)
    rights: dict[str, list[str]]
    groups: list[Name] = Field(default_factory=list, max_length=64)
    organisation: OrganisationName = HOME
    operates: Roles = Field(default_factory=list)


class PlaceBody(BaseModel):
    """`PUT /user-organisations`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    username: str = Field(min_length=1, max_length=128)
    organisation: OrganisationName
    operates: Roles = Field(default_factory=list)


def routes(administration: Administration) -> APIRouter:
    """Return the routes that need `bridge:admin`, and the public evidence."""
    router = APIRouter()

    async def resources(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "GET":
            return JSONResponse({"resources": [_resource(one) for one in await administration.resources()]})
        body = await read_json(request, ResourceBody)
        _require_capability(body.resource, list(body.tools))
        scopes = {tool_scope(tool): words for tool, words in body.tools.items()}
        put = Resource(
            id=body.resource,
            name=body.name,
            scopes=scopes,
            binding=body.binding,
            admits=body.admits,
            signing_alg=body.signing_alg,
            organisation=body.organisation,
            shared_with=frozenset(body.shared_with),
        )
        await administration.put_resource(put, by=by, request_id=request_id(request))
        return JSONResponse(_resource(put))

    async def users(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"users": [_user(one) for one in await administration.users()]})

    async def user(request: Request, username: str) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "DELETE":
            await administration.delete_user(username, by=by, request_id=request_id(request))
            return Response(status_code=204)
        body = await read_json(request, UserBody)
        _require_username(username)
        for resource, tools in body.rights.items():
            _require_capability(resource, tools)
        put = await administration.put_user(username, **body.model_dump(), by=by, request_id=request_id(request))
        return JSONResponse(_user(put))

    async def place(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, PlaceBody)
        spoken = request_id(request)
        put = await administration.put_place(body.username, body.organisation, body.operates, by=by, request_id=spoken)
        return JSONResponse(_user(put))

    async def evidence(_request: Request, digest: str) -> Response:
        # The digest names the content, so the answer never changes.
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
        return JSONResponse({"credentials": list(await administration.evidence(digest))}, headers=headers)

    router.add_api_route("/resources", resources, methods=["GET", "PUT"], response_model=None)
    router.add_api_route("/user-organisations", place, methods=["PUT"], response_model=None)
    router.add_api_route("/users", users, methods=["GET"], response_model=None)
    router.add_api_route("/users/{username:path}", user, methods=["PUT", "DELETE"], response_model=None)
    router.add_api_route("/evidence/{digest}", evidence, methods=["GET"], response_model=None)
    return router


def _require_username(name: str) -> None:
    visible = name.isascii() and name.isprintable() and " " not in name
    # A person's name never looks like an agent's (DEL-11).
    if not visible or not 0 < len(name) <= 128 or name.lower().startswith("did:"):
        raise InvalidParameter("a username is 1 to 128 visible ASCII characters and no DID")


def _require_capability(resource: str, tools: list[str]) -> None:
    # What a credential could not name, nobody could ever be allowed.
    parse_bare_capability({"resource": [resource], "tools": {tool: {} for tool in tools}})


def _resource(resource: Resource) -> dict[str, object]:
    names: dict[str, object] = {"resource": resource.id, "name": resource.name, "built_in": resource.built_in}
    names |= {"binding": resource.binding, "admits": resource.admits, "signing_alg": resource.signing_alg}
    names |= {"organisation": resource.organisation, "shared_with": sorted(resource.shared_with)}
    return {**names, "scopes": dict(resource.scopes)}


def _user(user: User) -> dict[str, object]:
    rights = {name: sorted(scope.removeprefix("tool:") for scope in held) for name, held in user.rights.items()}
    place = {"organisation": user.organisation, "operates": sorted(user.operates)}
    return {"username": user.username, "name": user.name, "rights": rights, "groups": sorted(user.groups), **place}
