"""What the issuer says of itself, and the documents its credentials name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.readiness import Readiness
from did_agent.credential.context import capability_context_document
from did_agent.credential.published_schema import published_bytes, published_schemas
from did_agent.errors import NotFound
from issuer.access import PUBLIC
from issuer.api.routes import Handler, Route, cacheable
from issuer.model import HOME, Operator
from issuer.service.office import Office

SCHEMAS: Final = "https://w3id.org/did-agent/schemas"
_HOUR: Final = 3_600  # s
_CACHED: Final = {"Cache-Control": f"public, max-age={_HOUR}", "Access-Control-Allow-Origin": "*"}


def routes(office: Office, readiness: Readiness | None = None) -> Sequence[Route]:
    """Return the routes that tell about the issuer; `readiness` looks at its parts."""
    well = readiness or Readiness(parts=())

    async def context(request: Request, _by: Operator) -> Response:
        document = capability_context_document()
        return cacheable(request, document, media_type="application/ld+json", max_age=_HOUR)

    async def schema(request: Request, _by: Operator) -> Response:
        url = f"{SCHEMAS}/{request.path_params['name']}/v1"
        if url not in published_schemas():
            raise NotFound("there is no such schema")
        return Response(published_bytes(url), media_type="application/schema+json", headers=_CACHED)

    async def about(_request: Request, _by: Operator) -> Response:
        return JSONResponse({"did": office.did_of(HOME), "url": office.url})

    async def livez(_request: Request, _by: Operator) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request, _by: Operator) -> Response:
        report = await well.report()
        return JSONResponse(report.members(), status_code=report.status)

    table: tuple[tuple[str, str, Handler], ...] = (
        ("/contexts/capability/v1", "context.read", context),
        ("/schemas/{name}/v1", "schema.read", schema),
        ("/.well-known/did-agent-issuer", "about", about),
        ("/livez", "livez", livez),
        ("/readyz", "readyz", readyz),
    )
    return [
        Route(method="GET", path=path, action=action, access=PUBLIC, handler=handler) for path, action, handler in table
    ]
