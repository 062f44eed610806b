"""did:web documents and the DID configuration of the domain, for anyone to read; who has one is the owner's word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from issuer.access import OWNERS, PUBLIC
from issuer.api.routes import Route, cacheable
from issuer.model import Operator
from issuer.service.did_web import DIDDocuments

MAX_AGE: Final = 60  # s; a key that was taken out counts no longer than this with those who heed it


def routes(service: DIDDocuments) -> Sequence[Route]:
    """Return the routes of DID documents."""

    async def organisation(request: Request, _by: Operator) -> Response:
        return cacheable(request, service.issuer(), media_type="application/did", max_age=MAX_AGE)

    async def configuration(request: Request, _by: Operator) -> Response:
        return cacheable(request, service.linkage(), media_type="application/json", max_age=MAX_AGE)

    async def agent(request: Request, _by: Operator) -> Response:
        document = await service.agent(request.path_params["slug"])
        return cacheable(request, document, media_type="application/did", max_age=MAX_AGE)

    async def publish(request: Request, by: Operator) -> Response:
        did = await service.publish(request.path_params["identifier"], by=by)
        return JSONResponse({"did": did})

    async def withdraw(request: Request, by: Operator) -> Response:
        await service.withdraw(request.path_params["identifier"], by=by)
        return Response(status_code=204)

    own, linked = "/.well-known/did.json", "/.well-known/did-configuration.json"
    one, kept = "/agents/{slug}/did.json", "/agents/{identifier}/did-web"
    return (
        Route(method="GET", path=own, action="did_web.read", access=PUBLIC, handler=organisation),
        Route(method="GET", path=linked, action="did_web.read", access=PUBLIC, handler=configuration),
        Route(method="GET", path=one, action="did_web.read", access=PUBLIC, handler=agent),
        Route(method="PUT", path=kept, action="did_web.publish", access=OWNERS, handler=publish),
        Route(method="DELETE", path=kept, action="did_web.withdraw", access=OWNERS, handler=withdraw),
    )
