"""Status lists, for anyone to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from did_agent.errors import NotFound
from issuer.access import PUBLIC
from issuer.api.routes import COUNTING, Route
from issuer.model import Operator
from issuer.service.places import Form
from issuer.service.status import Statuses
from issuer.status_lists import LIST_TTL

_JSON: Final = "application/json"
_CREDENTIAL: Final = "application/vc"


def routes(service: Statuses) -> Sequence[Route]:
    """Return the routes of status lists."""

    async def show(request: Request, _by: Operator) -> Response:
        purpose = request.path_params["purpose"]
        if purpose == "revocation":
            return await answer(request, "revocation", _negotiated(request))
        if purpose == "suspension":
            return await answer(request, "suspension", _negotiated(request))
        raise NotFound("there is no such status list")

    async def answer(request: Request, form: Form, media_type: str) -> Response:
        number = request.path_params["number"]
        if not COUNTING.fullmatch(number):
            raise NotFound("there is no such status list")
        served = await service.serve(form, int(number))
        tag = f'"{served.tag}"'
        headers = {
            "Cache-Control": f"public, max-age={int(LIST_TTL.total_seconds())}",
            "ETag": tag,
            "Vary": "Accept",
            "Access-Control-Allow-Origin": "*",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(served.body, media_type=media_type, headers=headers)

    return (
        Route(
            method="GET",
            path="/status-lists/{purpose}/{number}",
            action="status.read",
            access=PUBLIC,
            handler=show,
        ),
    )


def _negotiated(request: Request) -> str:
    """Return the media type of a list: JSON for who takes that and not the one of credentials."""
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return _JSON if _JSON in accepted and _CREDENTIAL not in accepted else _CREDENTIAL
