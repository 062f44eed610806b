"""The operator's routes for signing keys."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from bridge.api.admin import Words
from bridge.keyring import state_at
from bridge.model.keys import KeyState, SigningKeyRecord
from bridge.service.administration import Administration
from bridge.service.keys import KeyAdministration
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.clock import format_timestamp


class RotationBody(BaseModel):
    """`POST /signing-keys`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    algorithm: Literal["EdDSA", "ES256", "RS256"] = "EdDSA"
    reason: Words


class RevocationBody(BaseModel):
    """`POST /signing-keys/{kid}/revoke`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: Words


def routes(administration: Administration, keys: KeyAdministration) -> APIRouter:
    """Return the routes that need `bridge:admin`."""
    router = APIRouter()

    async def listed(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"signing_keys": [_shown(record, state) for record, state in await keys.keys()]})

    async def rotate(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, RotationBody)
        made = await keys.rotate(body.algorithm, reason=body.reason, by=by, request_id=request_id(request))
        return JSONResponse(_shown(made, state_at(made, keys.clock())), status_code=201)

    async def revoke(request: Request, kid: str) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, RevocationBody)
        await keys.revoke(kid, reason=body.reason, by=by, request_id=request_id(request))
        return Response(status_code=204)

    router.add_api_route("/signing-keys", listed, methods=["GET"], response_model=None)
    router.add_api_route("/signing-keys", rotate, methods=["POST"], response_model=None)
    router.add_api_route("/signing-keys/{kid}/revoke", revoke, methods=["POST"], response_model=None)
    return router


def _shown(record: SigningKeyRecord, state: KeyState) -> dict[str, object]:
    moments = {"activates": record.activates, "replaced": record.replaced, "revoked": record.revoked}
    return {
        "kid": record.kid,
        "algorithm": record.algorithm,
        "state": state,
        "provider": record.provider,
        **{name: None if moment is None else format_timestamp(moment) for name, moment in moments.items()},
    }
