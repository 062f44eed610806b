"""`/policy`: operators approve, publish and roll back, verifiers fetch the signed bundle; `/user-groups`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.admin import Name, _user
from bridge.api.wire import oauth_request
from bridge.model.policy import PolicyRecord, PolicyVersion
from bridge.service.administration import Administration
from bridge.service.callers import Callers
from bridge.service.publication import NOTHING, Candidate, PolicyAdministration
from did_agent.adapters.web_input import Parameters, bearer, read_json, request_id
from did_agent.clock import format_timestamp
from did_agent.errors import InvalidParameter
from did_agent.tokens.policy_bundle import PATH, TYPE

MEDIA_TYPE: Final = f"application/{TYPE}"
Note = Annotated[str, Field(max_length=200)]


class PolicyBody(BaseModel):
    """`PUT /policy`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: dict[str, Any]
    cases: list[Any] | None = Field(default=None, max_length=500)
    note: Note = ""
    acknowledge: bool = False
    follows: int | None = Field(default=None, ge=0)


class ApprovalBody(BaseModel):
    """`POST /policy/approvals`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    policy: dict[str, Any]


class RollbackBody(BaseModel):
    """`POST /policy/rollback`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    version: int = Field(ge=1)
    note: Note = ""


class GroupsBody(BaseModel):
    """`PUT /user-groups`: all groups of one person."""

    model_config = ConfigDict(extra="forbid", strict=True)
    username: Annotated[str, Field(min_length=1, max_length=128)]
    groups: list[Name] = Field(max_length=64)


def routes(administration: Administration, policies: PolicyAdministration, callers: Callers) -> APIRouter:
    """Return the routes: all for `bridge:admin`, but for the bundle, which its readers fetch."""
    router = APIRouter()

    async def policy(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "GET":
            return JSONResponse(_version(await policies.version(None)))
        body = await read_json(request, PolicyBody)
        candidate = Candidate(
            document=body.policy,
            cases=body.cases,
            note=body.note,
            acknowledged=body.acknowledge,
            follows=body.follows,
        )
        return JSONResponse(_record(await policies.publish(candidate, by=by, request_id=request_id(request))))

    async def versions(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"versions": [_record(one) for one in await policies.history()]})

    async def version(request: Request, number: str) -> Response:
        await administration.admit(bearer(request))
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            raise InvalidParameter("a version is a number")
        return JSONResponse(_version(await policies.version(int(number))))

    async def approvals(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, ApprovalBody)
        digest, approvers = await policies.approve(body.policy, by=by, request_id=request_id(request))
        return JSONResponse({"digest": digest, "approvers": approvers})

    async def rollback(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, RollbackBody)
        put = await policies.roll_back(body.version, note=body.note, by=by, request_id=request_id(request))
        return JSONResponse(_record(put))

    router.add_api_route("/policy", policy, methods=["GET", "PUT"], response_model=None)
    router.add_api_route("/policy/versions", versions, methods=["GET"], response_model=None)
    router.add_api_route("/policy/versions/{number}", version, methods=["GET"], response_model=None)
    router.add_api_route("/policy/approvals", approvals, methods=["POST"], response_model=None)
    router.add_api_route("/policy/rollback", rollback, methods=["POST"], response_model=None)
    _add_bundle(router, policies, callers)
    _add_groups(router, administration)
    return router


def _add_bundle(router: APIRouter, policies: PolicyAdministration, callers: Callers) -> None:
    async def bundle(request: Request) -> Response:
        found = await policies.bundle()
        if found.version:  # a policy names people; that there is none yet, a guard may know before anybody knows it
            await callers.admit(oauth_request(Parameters(), request))
        # Fresh for whoever asks: a cache between us would keep what was taken back.
        headers = {"ETag": found.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        if found.etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(found.text, media_type=MEDIA_TYPE, headers=headers)

    router.add_api_route(PATH, bundle, methods=["GET"], response_model=None)


def _add_groups(router: APIRouter, administration: Administration) -> None:
    async def groups(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, GroupsBody)
        changed = await administration.put_groups(body.username, body.groups, by=by, request_id=request_id(request))
        return JSONResponse(_user(changed))

    router.add_api_route("/user-groups", groups, methods=["PUT"], response_model=None)


def _version(found: PolicyVersion | None) -> dict[str, object]:
    if found is None:
        return {"version": 0, "policy": dict(NOTHING), "cases": []}
    return {**_record(found.record), "policy": dict(found.document), "cases": list(found.cases)}


def _record(record: PolicyRecord) -> dict[str, object]:
    return {
        "version": record.version,
        "digest": record.digest,
        "published": format_timestamp(record.published),
        "by": record.by,
        "note": record.note,
        "restores": record.restores,
        "approvers": list(record.approvers),
    }
