"""Agents looked for, described and handed over; their histories, and how far a change would reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json, read_query
from did_agent.errors import InvalidParameter
from issuer.access import OWNERS, READERS, SERVICE
from issuer.api.cursors import Cursors
from issuer.api.listing import Listing, Page
from issuer.api.routes import Route
from issuer.api.schemas import agent_out
from issuer.api.schemas_registry import Describe, Transfer, happening_out, impact_out
from issuer.model import Operator, State
from issuer.model.registry import MAX_COUNT, Search, Stopping
from issuer.naming import skeleton
from issuer.service.registry import Registry

FILTERS: Final = (
    "name", "prefix", "text", "state", "sponsor", "owner", "tag", "group", "template", "did", "count", "order",
)  # fmt: skip


def routes(service: Registry, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of the registry."""
    agents = Listing(cursors=cursors, name="agents", filters=FILTERS, states=get_args(State))
    happenings = Listing(cursors=cursors, name="history")

    async def search(request: Request, by: Operator) -> Response:
        return await found(service, agents.page(request, by), by)

    async def describe(request: Request, by: Operator) -> Response:
        body = await read_json(request, Describe)
        return JSONResponse(agent_out(await service.describe(request.path_params["identifier"], body.said(), by=by)))

    async def transfer(request: Request, by: Operator) -> Response:
        body = await read_json(request, Transfer)
        identifier = request.path_params["identifier"]
        agent = await service.transfer(identifier, owner=body.owner, sponsor=body.sponsor, reason=body.reason, by=by)
        return JSONResponse(agent_out(agent))

    async def history(request: Request, by: Operator) -> Response:
        identifier = request.path_params["identifier"]
        page = happenings.page(request, by, of=identifier)
        happened = await service.history(identifier, after=int(page.after or 0), limit=page.limit, by=by)
        following = page.next(happened, happened[-1].seq if happened else None)
        return JSONResponse({"history": [happening_out(one) for one in happened], "next": following})

    async def impact_of_agent(request: Request, by: Operator) -> Response:
        query = read_query(request)
        change = query.get("change") or "suspend"
        if change not in get_args(Stopping) or query.values.keys() - {"change"}:
            raise InvalidParameter(f"change is one of {', '.join(get_args(Stopping))}")
        impact = await service.impact_of_agent(request.path_params["identifier"], cast("Stopping", change), by=by)
        return JSONResponse(impact_out(impact))

    async def impact_of_credential(request: Request, by: Operator) -> Response:
        return JSONResponse(impact_out(await service.impact_of_credential(request.path_params["identifier"], by=by)))

    one, held = "/agents/{identifier}", "/credentials/{identifier}"
    return (
        Route(method="GET", path="/agents", action="agent.list", access=READERS | SERVICE, handler=search),
        Route(method="PATCH", path=one, action="agent.describe", access=OWNERS, handler=describe),
        Route(method="POST", path=f"{one}/transfer", action="agent.transfer", access=OWNERS, handler=transfer),
        Route(method="GET", path=f"{one}/history", action="agent.history", access=READERS, handler=history),
        Route(method="GET", path=f"{one}/impact", action="agent.impact", access=READERS, handler=impact_of_agent),
        Route(
            method="GET",
            path=f"{held}/impact",
            action="credential.impact",
            access=READERS,
            handler=impact_of_credential,
        ),
    )


async def found(service: Registry, page: Page, by: Operator, *, group: str | None = None) -> Response:
    """Answer with a page of agents; with `group` of its members alone."""
    query = page.query
    count = query.get("count")
    if count not in (None, "true"):
        raise InvalidParameter("count: true, or nothing")
    order = query.get("order")
    if order not in (None, "name"):
        raise InvalidParameter("order: name, or nothing")
    search = Search(
        organisation=by.organisation,
        name=query.get("name"),
        prefix=query.get("prefix") or ("" if order == "name" else None),  # every name begins with nothing
        state=query.get("state"),
        sponsor=query.get("sponsor"),
        owner=query.get("owner"),
        template=query.get("template"),
        did=query.get("did"),
        tag=query.get("tag"),
        group=group or query.get("group"),
    )
    agents, many = await service.search(
        search, text=query.get("text"), after=page.after, limit=page.limit, count=count is not None, by=by
    )
    last = agents[-1] if agents else None
    position = None if last is None else last.agent_id if search.prefix is None else skeleton(last.name)
    answer: dict[str, object] = {"agents": [agent_out(one) for one in agents], "next": page.next(agents, position)}
    if many is not None:  # "at least" beyond what is worth counting
        answer |= {"count": min(many, MAX_COUNT), "count_exact": many <= MAX_COUNT}
    return JSONResponse(answer)
