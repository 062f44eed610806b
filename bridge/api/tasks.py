"""`/tasks`: what agents were set to do, and its end."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.wire import oauth_error, oauth_request
from bridge.model.tasks import Task
from bridge.service.administration import Administration
from bridge.service.tasks import Tasks
from did_agent.adapters.web_input import bearer, read_form, request_id
from did_agent.errors import DidAgentError, MissingParameter


def routes(tasks: Tasks, administration: Administration) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    async def complete(request: Request) -> Response:
        try:
            asked = oauth_request(await read_form(request), request)
            if (asked.authorization or "").lower().startswith("bearer "):
                by, named = await administration.admit(bearer(request)), asked.get("task")
                if named is None:
                    raise MissingParameter("task is required")
                task = await tasks.complete_for(named, by=by, request_id=request_id(request))
            else:
                task = await tasks.complete(asked)
        except DidAgentError as error:
            return oauth_error(error, request, door="")
        return JSONResponse({"task": task.id, "completed": True})

    async def running(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"tasks": [_shown(task) for task in await tasks.running()]})

    router.add_api_route("/tasks/complete", complete, methods=["POST"], response_model=None)
    router.add_api_route("/tasks", running, methods=["GET"], response_model=None)
    return router


def _shown(task: Task) -> dict[str, object]:
    return {
        "task": task.id,
        "name": task.name,
        "principal": task.principal,
        "principal_kind": task.principal_kind,
        "client_id": task.client_id,
        "resource": task.resource,
        "started": f"{task.started:%FT%TZ}",
    }
