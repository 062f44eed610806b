"""Webhooks: add, change, try, give other keys, look at what was delivered, and send it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from issuer.access import ADMINS, READERS
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing
from issuer.api.requests import position_of, position_text
from issuer.api.routes import Route
from issuer.api.schemas_grants import AddWebhook, ChangeWebhook, delivery_out, webhook_out
from issuer.model import Operator
from issuer.model.webhooks import DeliveryState
from issuer.service.webhooks import Webhooks

_AUDITORS = READERS - {"sponsor"}


def routes(service: Webhooks, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of webhooks."""
    return [*_endpoints(service), *_deliveries(service, cursors)]


def _endpoints(service: Webhooks) -> Sequence[Route]:
    async def add(request: Request, by: Operator) -> Response:
        body = await read_json(request, AddWebhook)
        made = await service.add(body.url, body.topics, description=body.description, scheme=body.scheme, by=by)
        return JSONResponse(webhook_out(made), status_code=201)

    async def listed(_request: Request, by: Operator) -> Response:
        return JSONResponse({"webhooks": [webhook_out(one) for one in await service.list(by=by)], "next": None})

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(webhook_out(await service.show(request.path_params["identifier"], by=by)))

    async def change(request: Request, by: Operator) -> Response:
        body = await read_json(request, ChangeWebhook)
        changed = await service.change(
            request.path_params["identifier"], url=body.url, topics=body.topics, enabled=body.enabled, by=by
        )
        return JSONResponse(webhook_out(changed))

    async def rotate(request: Request, by: Operator) -> Response:
        return JSONResponse(webhook_out(await service.rotate(request.path_params["identifier"], by=by)))

    async def remove(request: Request, by: Operator) -> Response:
        removed = await service.remove(request.path_params["identifier"], by=by)
        return JSONResponse({"id": removed.id, "removed": True})

    async def test(request: Request, by: Operator) -> Response:
        sent = await service.test(request.path_params["identifier"], by=by)
        return JSONResponse({"delivery": sent}, status_code=202)

    many, one = "/webhooks", "/webhooks/{identifier}"
    table = (
        ("POST", many, "webhook.create", ADMINS, add),
        ("GET", many, "webhook.list", _AUDITORS, listed),
        ("GET", one, "webhook.show", _AUDITORS, show),
        ("PATCH", one, "webhook.change", ADMINS, change),
        ("DELETE", one, "webhook.remove", ADMINS, remove),
        ("POST", f"{one}/rotate", "webhook.rotate", ADMINS, rotate),
        ("POST", f"{one}/test", "webhook.try", ADMINS, test),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]


def _deliveries(service: Webhooks, cursors: Cursors) -> Sequence[Route]:
    listing = Listing(cursors=cursors, name="deliveries", filters=("state",), states=tuple(get_args(DeliveryState)))

    async def deliveries(request: Request, by: Operator) -> Response:
        identifier = request.path_params["identifier"]
        page = listing.page(request, by, of=identifier)
        state = cast("DeliveryState | None", page.query.get("state"))
        found = await service.deliveries(
            identifier, state=state, after=position_of(page.after), limit=page.limit, by=by
        )
        following = page.next(found, position_text(found[-1].created, found[-1].id) if found else None)
        return JSONResponse({"deliveries": [delivery_out(one) for one in found], "next": following})

    async def send_again(request: Request, by: Operator) -> Response:
        delivery = request.path_params["delivery"]
        await service.send_again(request.path_params["identifier"], delivery, by=by)
        return JSONResponse({"delivery": delivery}, status_code=202)

    one = "/webhooks/{identifier}"
    table = (
        ("GET", f"{one}/deliveries", "webhook.deliveries", _AUDITORS, deliveries),
        ("POST", f"{one}/deliveries/{{delivery}}/resend", "webhook.resend", ADMINS, send_again),
    )
    return [
        Route(method=method, path=path, action=action, access=access, handler=handler)
        for method, path, action, access, handler in table
    ]
