"""`/issuer-keys`: the keys an organisation signs with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.openapi import FLAG, MAYBE, TEXT, WHOLE, Answer, Operation, Schema, listed, one_of, record
from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from issuer.access import ADMINS, READERS
from issuer.api.organisations import WAITS
from issuer.api.routes import Route
from issuer.api.schemas import Reason
from issuer.model import Operator
from issuer.model.keys import IssuingKey, IssuingKeyState, KeyImpact
from issuer.service.issuing import IssuingKeys

_KEY: Final = record(
    did=TEXT,
    generation=WHOLE,
    state=one_of(*get_args(IssuingKeyState)),
    origin=one_of("home", "derived", "sealed"),
    activates=TEXT,
    replaced=MAYBE,
    ended=MAYBE,
)
_IMPACT: Final[dict[str, Schema]] = {
    "did": TEXT,
    "keys": listed(TEXT),
    "organisations": listed(TEXT),
    "agents": WHOLE,
    "credentials": WHOLE,
    "delegations": WHOLE,
    "until": MAYBE,
}
ISSUER_KEYS: Final[dict[str, Operation]] = {
    "GET /issuer-keys": Operation(
        summary="List the keys the organisation signs with",
        answers={200: Answer("The oldest first.", record(issuer_keys=listed(_KEY), next=MAYBE))},
        auth=("operator",),
    ),
    "POST /issuer-keys": Operation(
        summary="Publish a successor of the key that signs",
        answers={201: Answer("Published; it signs once every reader can know it.", _KEY), 202: WAITS},
        body=Reason,
        auth=("operator",),
    ),
    "GET /issuer-keys/{identifier}/impact": Operation(
        summary="What the end of a key would end",
        answers={200: Answer("Counted.", record(**_IMPACT))},
        auth=("operator",),
    ),
    "POST /issuer-keys/{identifier}/retire": Operation(
        summary="Believe a key no more that another one signs in place of",
        answers={200: Answer("Retired.", _KEY), 202: WAITS},
        body=Reason,
        auth=("operator",),
    ),
    "POST /issuer-keys/{identifier}/revoke": Operation(
        summary="End a key at once, with all it signed",
        answers={200: Answer("Ended.", record(**_IMPACT, propagated=FLAG)), 202: WAITS},
        body=Reason,
        auth=("operator",),
    ),
}


def routes(service: IssuingKeys) -> Sequence[Route]:
    """Return the routes."""

    async def listing(_request: Request, by: Operator) -> Response:
        found = await service.list(by=by)
        return JSONResponse({"issuer_keys": [_key_out(key, state) for key, state in found], "next": None})

    async def rotate(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        made = await service.rotate(reason=body.reason, by=by)
        return JSONResponse(_key_out(made, service.state(made)), status_code=201)

    async def impact(request: Request, by: Operator) -> Response:
        did = request.path_params["identifier"]
        return JSONResponse(_impact_out(did, await service.impact(did, by=by)))

    async def retire(request: Request, by: Operator) -> Response:
        body = await read_json(request, Reason)
        ended = await service.retire(request.path_params["identifier"], reason=body.reason, by=by)
        return JSONResponse(_key_out(ended, service.state(ended)))

    async def revoke(request: Request, by: Operator) -> Response:
        did, body = request.path_params["identifier"], await read_json(request, Reason)
        found, heard = await service.revoke(did, reason=body.reason, by=by)
        return JSONResponse({**_impact_out(did, found), "propagated": heard})

    keys, one = "/issuer-keys", "/issuer-keys/{identifier}"
    return (
        Route(method="GET", path=keys, action="issuer_key.list", access=READERS, handler=listing),
        Route(method="POST", path=keys, action="issuer_key.rotate", access=ADMINS, handler=rotate, control="keys"),
        Route(method="GET", path=f"{one}/impact", action="issuer_key.impact", access=READERS, handler=impact),
        Route(
            method="POST",
            path=f"{one}/retire",
            action="issuer_key.retire",
            access=ADMINS,
            handler=retire,
            control="keys",
        ),
        Route(
            method="POST",
            path=f"{one}/revoke",
            action="issuer_key.revoke",
            access=ADMINS,
            handler=revoke,
            control="keys",
        ),
    )


def _key_out(key: IssuingKey, state: str) -> dict[str, object]:
    moments = {"replaced": key.replaced, "ended": key.ended}
    return {
        "did": key.did,
        "generation": key.generation,
        "state": state,
        "origin": key.origin,
        "activates": format_timestamp(key.activates),
        **{name: None if moment is None else format_timestamp(moment) for name, moment in moments.items()},
    }


def _impact_out(did: str, found: KeyImpact) -> dict[str, object]:
    return {
        "did": did,
        "keys": list(found.keys),
        "organisations": list(found.organisations),
        "agents": found.agents,
        "credentials": found.credentials,
        "delegations": found.delegations,
        "until": None if found.until is None else format_timestamp(found.until),
    }
