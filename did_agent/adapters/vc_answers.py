"""Answers of the VC-API: refusals as ProblemDetails, new documents with warnings (VCALM 0.9, 3; VCDM 2.0, 7.1)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import require_media_type
from did_agent.credential.problem import problem_details
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, NotFound, TooLarge, Unavailable

PROBLEM: Final = "application/problem+json"
UNKNOWN_OPTION: Final = "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED"
MAX_DEPTH: Final = 64  # levels of a document; strangers nest deeper than our own

Handler = Callable[[Request], Awaitable[Response]]


async def read_body(request: Request) -> dict[str, object]:
    """Return the members of a JSON body.

    Raises: WrongContentType and what strict JSON raises.
    """
    require_media_type(request, "application/json")
    return parse_object(await request.body(), max_depth=MAX_DEPTH)


def answering(handler: Handler) -> Handler:
    """Return the handler with every refusal answered as a problem, in the words of the VC standards.

    Malformed and unbelieved are both 400 here, as VCALM has it; only 2xx may ever mean yes.
    """

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except DidAgentError as error:
            status = 404 if isinstance(error, NotFound) else 413 if isinstance(error, TooLarge) else 400
            if isinstance(error, Unavailable):
                status = 503
            return Response(json.dumps(problem_details(error)), status_code=status, media_type=PROBLEM)

    return endpoint


def created(body: Mapping[str, Any], *, unknown: tuple[str, ...] = ()) -> Response:
    """Return 201 with a new document; options that mean nothing here are named as warnings."""
    warnings = [{"type": UNKNOWN_OPTION, "title": "An option is not known here.", "detail": name} for name in unknown]
    return JSONResponse({**body, **({"warnings": warnings} if warnings else {})}, status_code=201)
