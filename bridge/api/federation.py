"""`/trusted-issuers` and `/identities`: the operator says whom else the bridge believes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.api.admin import Name
from bridge.model.federation import TrustedIssuer, WorkloadRule
from bridge.service.administration import Administration
from bridge.service.federation import FederationAdministration
from did_agent.adapters.http import is_loopback
from did_agent.adapters.web_input import bearer, read_json, request_id
from did_agent.did.key import parse_did_key
from did_agent.errors import DidAgentError, InvalidParameter


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    is_address = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(text))
    if not is_address or not parts.hostname or parts.username or parts.fragment or not text.isascii():
        raise ValueError("an https URL is needed")
    return text


def _agent(text: str) -> str:
    try:
        parse_did_key(text)
    except DidAgentError as error:
        raise ValueError("the agent is named by its did:key") from error
    return text


Short = Annotated[str, Field(min_length=1, max_length=512)]


class RuleBody(BaseModel):
    """One workload rule."""

    model_config = ConfigDict(extra="forbid", strict=True)
    subject: Short
    claims: dict[Short, Short] = Field(default_factory=dict, max_length=16)
    agent: Annotated[str, Field(max_length=256), AfterValidator(_agent)]
    scopes: list[Short] | None = Field(default=None, max_length=64)
    reusable: bool = False


class TrustedIssuerBody(BaseModel):
    """`PUT /trusted-issuers`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    issuer: Short  # compared byte by byte with `iss`; SPIFFE trust domains and Kubernetes clusters choose odd ones
    name: Name
    jwks_uri: Annotated[str, Field(max_length=2_048), AfterValidator(_web_address)] | None = None
    vouches_for_users: bool = False
    rules: list[RuleBody] = Field(default_factory=list, max_length=256)


class IdentityBody(BaseModel):
    """`PUT /identities`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    issuer: Short
    subject: Short
    username: Annotated[str, Field(min_length=1, max_length=128)]


class IssuerName(BaseModel):
    """`DELETE /trusted-issuers`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    issuer: Short


def routes(administration: Administration, federation: FederationAdministration) -> APIRouter:
    """Return the routes, all for `bridge:admin`."""
    router = APIRouter()

    async def trusted_issuers(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        if request.method == "GET":
            found = await federation.trusted_issuers()
            return JSONResponse({"trusted_issuers": [_shown(one) for one in found]})
        if request.method == "DELETE":
            named = await read_json(request, IssuerName)
            await federation.delete_trusted_issuer(named.issuer, by=by, request_id=request_id(request))
            return Response(status_code=204)
        trusted = _trusted(await read_json(request, TrustedIssuerBody))
        await federation.put_trusted_issuer(trusted, by=by, request_id=request_id(request))
        return JSONResponse(_shown(trusted))

    async def identities(request: Request) -> Response:
        by = await administration.admit(bearer(request))
        body = await read_json(request, IdentityBody)
        await federation.link_user(body.issuer, body.subject, body.username, by=by, request_id=request_id(request))
        return Response(status_code=204)

    router.add_api_route("/trusted-issuers", trusted_issuers, methods=["GET", "PUT", "DELETE"], response_model=None)
    router.add_api_route("/identities", identities, methods=["PUT"], response_model=None)
    return router


def _trusted(body: TrustedIssuerBody) -> TrustedIssuer:
    if body.jwks_uri is None:
        _require_discoverable(body.issuer)
    rules = (
        WorkloadRule(**{**rule.model_dump(), "scopes": None if rule.scopes is None else frozenset(rule.scopes)})
        for rule in body.rules
    )
    return TrustedIssuer(
        issuer=body.issuer,
        name=body.name,
        jwks_uri=body.jwks_uri,
        vouches_for_users=body.vouches_for_users,
        rules=tuple(rules),
    )


def _require_discoverable(issuer: str) -> None:
    try:
        _web_address(issuer)
    except ValueError as error:
        raise InvalidParameter("jwks_uri is needed: the issuer is no https URL to discover it from") from error


def _shown(trusted: TrustedIssuer) -> dict[str, object]:
    rules = [
        {
            "subject": rule.subject,
            "claims": dict(rule.claims),
            "agent": rule.agent,
            "scopes": None if rule.scopes is None else sorted(rule.scopes),
            "reusable": rule.reusable,
        }
        for rule in trusted.rules
    ]
    return {
        "issuer": trusted.issuer,
        "name": trusted.name,
        "jwks_uri": trusted.jwks_uri,
        "vouches_for_users": trusted.vouches_for_users,
        "rules": rules,
    }
