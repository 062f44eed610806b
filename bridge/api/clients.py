"""`/clients`: the operator registers clients that are neither agents nor publish a document of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.admin import Name
from bridge.client_certificates import read_certificate_name, read_certificates
from bridge.client_documents import redirect_uris
from bridge.model.clients import AuthMethod, OAuthClient
from bridge.service.administration import Administration
from bridge.service.clients import ClientAdministration
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.did.key import parse_did_key
from did_agent.errors import BadKey, InvalidParameter
from did_agent.keys.jwk import parse_public_jwk

_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")  # never a URL or a DID, which name other kinds (OAU-11)


class ClientBody(BaseModel):
    """`PUT /clients/{id}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name
    redirect_uris: list[Annotated[str, Field(max_length=2_048)]] = Field(default_factory=list, max_length=16)
    auth_method: AuthMethod
    agent: Annotated[str, Field(max_length=256)] | None = None
    keys: list[dict[str, object]] = Field(default_factory=list, max_length=8)
    certificate_name: dict[str, str] | None = None
    resources: list[Annotated[str, Field(max_length=2_048)]] = Field(default_factory=list, max_length=16)
    require_pushed: bool = False
    operates: bool = False


def routes(administration: Administration, clients: ClientAdministration) -> APIRouter:
    """Return the routes, all for `bridge:admin`."""
    router = APIRouter()

    async def listed(request: Request) -> Response:
        await administration.admit(bearer(request))
        return JSONResponse({"clients": [_shown(one) for one in await clients.clients()]})

    async def client(request: Request, client_id: str) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "DELETE":
            await clients.delete_client(client_id, by=by, request_id=request_id(request))
            return Response(status_code=204)
        registered = _client(client_id, await read_json(request, ClientBody))
        secret = await clients.put_client(registered, by=by, request_id=request_id(request))
        return JSONResponse({**_shown(registered), **({} if secret is None else {"client_secret": secret})})

    router.add_api_route("/clients", listed, methods=["GET"], response_model=None)
    router.add_api_route("/clients/{client_id:path}", client, methods=["PUT", "DELETE"], response_model=None)
    return router


def _client(client_id: str, body: ClientBody) -> OAuthClient:
    if not _ID.fullmatch(client_id):
        raise InvalidParameter(
            "a client id is 1 to 128 of A-Z a-z 0-9 . _ ~ -; DIDs of agents and URLs of documents need no registration"
        )
    if body.agent is not None:
        parse_did_key(body.agent)
        if body.auth_method == "none":
            raise InvalidParameter("a client that is an agent must authenticate")
    if body.agent is not None and body.operates:
        raise InvalidParameter("people operate through a program that is no agent")
    name = body.certificate_name
    if (name is not None) != (body.auth_method == "tls_client_auth"):
        raise InvalidParameter("certificate_name belongs to tls_client_auth, and to nothing else")
    return OAuthClient(
        id=client_id,
        kind="registered",
        name=body.name,
        redirect_uris=redirect_uris(body.redirect_uris) if body.redirect_uris else (),
        auth_method=body.auth_method,
        agent=body.agent,
        keys=_keys(body),
        certificate_name=None if name is None else read_certificate_name(name),
        resources=tuple(body.resources),
        require_pushed=body.require_pushed,
        operates=body.operates,
    )


def _keys(body: ClientBody) -> tuple[Mapping[str, object], ...]:
    if bool(body.keys) != (body.auth_method in ("private_key_jwt", "self_signed_tls_client_auth")):
        raise InvalidParameter("keys belong to private_key_jwt and self_signed_tls_client_auth, and to nothing else")
    if body.auth_method == "self_signed_tls_client_auth":
        return read_certificates(body.keys)
    for jwk in body.keys:
        try:
            parse_public_jwk(jwk)
        except BadKey as error:
            raise InvalidParameter(f"keys: {error.detail or error.public}") from error
    return tuple(body.keys)


def _shown(client: OAuthClient) -> dict[str, object]:
    return {
        "client_id": client.id,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "auth_method": client.auth_method,
        "agent": client.agent,
        "keys": list(client.keys),
        "certificate_name": None if client.certificate_name is None else dict([client.certificate_name]),
        "resources": list(client.resources),
        "require_pushed": client.require_pushed,
        "operates": client.operates,
    }
