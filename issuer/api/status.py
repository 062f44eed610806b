"""Status lists, for anyone to read."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from did_agent.errors import NotFound
from issuer.access import PUBLIC
from issuer.api.routes import COUNTING, Route, cacheable
from issuer.granting import LIST_TTL
from issuer.model import Operator
from issuer.service.status import Statuses


def routes(service: Statuses) -> Sequence[Route]:
    """Return the routes of status lists."""

    async def show(request: Request, _by: Operator) -> Response:
        purpose, number = request.path_params["purpose"], request.path_params["number"]
        if purpose not in ("revocation", "suspension") or not COUNTING.fullmatch(number):
            raise NotFound("there is no such status list")
        document = await service.status_list(purpose, int(number))
        max_age = int(LIST_TTL.total_seconds())
        return cacheable(request, document, media_type="application/vc", max_age=max_age)

    path = "/status-lists/{purpose}/{number}"
    return (Route(method="GET", path=path, action="status.read", access=PUBLIC, handler=show),)
