"""Credential offers for operators: make, list, show, approve, deny, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp, numeric_date
from did_agent.credential.capability import parse_bare_capability
from did_agent.encoding.timestamp import from_numeric_date
from issuer.access import MANAGERS, READERS
from issuer.api.cursors import Cursors
from issuer.api.routes import Handler, Route, asked
from issuer.api.schemas import Reason
from issuer.model import Operator
from issuer.model.grants import NewGrant
from issuer.model.offers import NewOffer, Offer, Verdict
from issuer.offers import uri_by_reference, uri_by_value
from issuer.service.offers import Offers

Name = Annotated[StrictStr, Field(min_length=1, max_length=512)]
_VERDICTS: Final[dict[str, Verdict]] = {"approve": "approved", "deny": "denied"}


class CreateOffer(BaseModel):
    """What an operator offers to an agent; `capabilities` or a `template` where a capability credential is offered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Name
    configurations: Annotated[list[Name], Field(min_length=1, max_length=8)] = ["agent-capability"]
    capabilities: Annotated[list[dict[str, Any]], Field(max_length=16)] = []
    template: Name | None = None
    valid_seconds: StrictInt | None = None
    max_depth: StrictInt | None = None
    on_behalf_of: Name | None = None
    copies: StrictInt = 1
    offer_seconds: StrictInt = 900
    tx_code: StrictBool = False
    needs_approval: StrictBool = False
    person: Name | None = None

    def new(self) -> NewOffer:
        """Return the offer that is asked for; each capability is read by the credential core."""
        grant = None
        if self.capabilities or self.template is not None:
            grant = NewGrant(
                agent=self.agent,
                capabilities=tuple(parse_bare_capability(one) for one in self.capabilities),
                template=self.template,
                valid_seconds=self.valid_seconds,
                max_depth=self.max_depth,
                on_behalf_of=self.on_behalf_of,
            )
        return NewOffer(
            agent=self.agent,
            configurations=tuple(self.configurations),
            grant=grant,
            copies=self.copies,
            valid_seconds=self.offer_seconds,
            tx_code=self.tx_code,
            needs_approval=self.needs_approval,
            person=self.person,
        )


def routes(service: Offers, cursors: Cursors) -> Sequence[Route]:
    """Return the routes of offers."""

    async def create(request: Request, by: Operator) -> Response:
        body = await read_json(request, CreateOffer)
        offer, secrets = await service.create(body.new(), by=by)
        offered = service.object_of(offer, secrets.handle)
        answer = {
            **_out(offer, service),
            "credential_offer": offered,
            "uri": uri_by_value(offered),
            "uri_by_reference": uri_by_reference(secrets.handle, issuer_url=service.office.url),
            "tx_code": secrets.tx_code,
        }
        return JSONResponse(answer, status_code=201)

    async def listed(request: Request, by: Operator) -> Response:
        query, limit = asked(request, "agent", "after")
        agent, after = query.get("agent"), query.get("after")
        bound = {"agent": agent}
        position = None
        if after is not None:
            created, last = cursors.read(after, organisation=by.organisation, query=bound)
            position = from_numeric_date(cast("int", created)), str(last)
        found = await service.list(agent=agent, after=position, limit=limit, by=by)
        following = None
        if len(found) == limit:
            place = (numeric_date(found[-1].created), found[-1].id)
            following = cursors.make(place, organisation=by.organisation, query=bound)
        return JSONResponse({"offers": [_out(offer, service) for offer in found], "next": following})

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(_out(await service.show(request.path_params["identifier"], by=by), service))

    async def withdraw(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        offer = await service.withdraw(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse(_out(offer, service))

    def deciding(verdict: Verdict) -> Handler:
        async def decide(request: Request, by: Operator) -> Response:
            body = await read_json(request, Reason)
            offer = await service.decide(request.path_params["identifier"], verdict, reason=body.reason, by=by)
            return JSONResponse(_out(offer, service))

        return decide

    one = "/offers/{identifier}"
    return (
        Route(method="POST", path="/offers", action="offer.create", access=MANAGERS, handler=create),
        Route(method="GET", path="/offers", action="offer.list", access=READERS, handler=listed),
        Route(method="GET", path=one, action="offer.show", access=READERS, handler=show),
        Route(method="POST", path=f"{one}/withdraw", action="offer.withdraw", access=MANAGERS, handler=withdraw),
        *(
            Route(
                method="POST",
                path=f"{one}/{word}",
                action=f"offer.{word}",
                access=MANAGERS,
                handler=deciding(verdict),
            )
            for word, verdict in _VERDICTS.items()
        ),
    )


def _out(offer: Offer, service: Offers) -> dict[str, object]:
    terms = offer.terms
    return {
        "id": offer.id,
        "agent_id": offer.agent_id,
        "state": offer.state_at(service.office.clock()),
        "configurations": list(offer.configurations),
        "capabilities": [] if terms is None else [one.to_json() for one in terms.capabilities],
        "template": None if terms is None else terms.source.template,
        "copies": offer.copies,
        "issued": dict(offer.issued),
        "enrols": offer.enrols,
        "needs_approval": offer.needs_approval,
        "verdict": offer.verdict,
        "person": offer.person,
        "made_by": offer.made_by,
        "created": format_timestamp(offer.created),
        "expires": format_timestamp(offer.expires),
    }
