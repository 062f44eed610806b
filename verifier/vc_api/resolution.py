"""DID resolution over HTTP, `/1.0/identifiers/{did}` (DID Resolution, HTTP binding)."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.did.resolution import resolution_result
from did_agent.did.web import PREFIX
from did_agent.errors import DidAgentError
from verifier.vc_api.service import Resolver

RESOLUTION: Final = "application/did-resolution"
DEREFERENCING: Final = "application/did-url-dereferencing"
DOCUMENT: Final = "application/did"
LEGACY: Final = 'application/ld+json;profile="https://w3id.org/did-resolution"'


async def resolve_over_http(identifier: str, request: Request, resolver: Resolver) -> Response:
    """Return the answer to one question in the form that `Accept` asks for; unknown forms get the legacy one."""
    did = re.split("[/?#]", identifier, maxsplit=1)[0]
    try:
        documents = await resolver.documents([did]) if did.startswith(PREFIX) else {}
    except DidAgentError:
        documents = {}  # the result says that it was not found
    result = resolution_result(identifier, documents=documents, options=dict(request.query_params))
    accept = request.headers.get("accept", "").replace(" ", "")
    if accept == RESOLUTION:
        return JSONResponse(result.resolution(), status_code=result.http_status, media_type=RESOLUTION)
    if accept == DEREFERENCING:
        return JSONResponse(result.dereferencing(), status_code=result.http_status, media_type=DEREFERENCING)
    if accept == DOCUMENT and result.error is None:
        return JSONResponse(result.content, status_code=result.http_status, media_type=DOCUMENT)
    return JSONResponse(result.legacy(), status_code=result.http_status, media_type="application/ld+json")
