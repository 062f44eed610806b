"""Authorization server metadata (RFC 8414), keys (RFC 7517) and health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.api.backchannel import offered as backchannel
from bridge.authorization_details import TYPES
from bridge.grants.jwt_bearer import ID_JAG_PROFILE
from bridge.grants.token_exchange import ACCESS_TOKEN_TYPE, SUBJECT_TYPES
from bridge.keyring import JWKS_MAX_AGE
from bridge.model import OFFLINE_ACCESS, Identity
from bridge.model.clients import AUTH_METHODS
from bridge.presentations import PRESENTATION_TYPES
from did_agent.adapters.readiness import Readiness
from did_agent.keys.public import ALGORITHMS
from did_agent.proof.data_integrity import WHOLE_DOCUMENT
from did_agent.tokens.dpop import SIGNING_ALGORITHMS

WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
_PUBLIC: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": f"public, max-age={JWKS_MAX_AGE}"}
_ALGORITHMS: Final = [*ALGORITHMS["Ed25519"], *ALGORITHMS["P-256"]]  # curves whose DID URL fits into a `kid`


def metadata(issuer: str, *, grant_types: Iterable[str]) -> dict[str, object]:
    """Return the document of an issuer: what runs, and nothing else."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}/revoke",
        "global_token_revocation_endpoint": f"{issuer}/revoke-subject",
        "introspection_endpoint": f"{issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": [one for one in AUTH_METHODS if one != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
        "introspection_signing_alg_values_supported": ["EdDSA"],
        "challenge_endpoint": f"{issuer}/challenge",
        "scopes_supported": [OFFLINE_ACCESS],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grant_types),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "client_id_metadata_document_supported": True,
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": list(TYPES),
        **backchannel(issuer),
        "authorization_grant_profiles_supported": [ID_JAG_PROFILE, "urn:ietf:params:oauth:grant-profile:actor-profile"],
        "actor_profile_token_exchange": {
            "subject_token_types_supported": list(SUBJECT_TYPES),
            "actor_token_types_supported": list(PRESENTATION_TYPES),
            "requested_token_types_supported": [ACCESS_TOKEN_TYPE],
        },
        "vp_formats_supported": {
            "ldp_vc": {"proof_type_values": ["DataIntegrityProof"], "cryptosuite_values": list(WHOLE_DOCUMENT)}
        },
    }


def routes(
    identity: Identity, readiness: Readiness, *, grant_types: Iterable[str], offered: Mapping[str, object]
) -> tuple[APIRouter, APIRouter]:
    """Return the routes under the issuer's path, and those at the root of its host (RFC 8414, 3.1).

    `offered` are members of what this deployment was configured to offer beside the rest.
    """
    under, root = APIRouter(), APIRouter()

    async def document(_request: Request) -> Response:
        return JSONResponse({**metadata(identity.issuer, grant_types=grant_types), **offered}, headers=_PUBLIC)

    async def keys(_request: Request) -> Response:
        return JSONResponse({"keys": identity.ring.published()}, headers=_PUBLIC)

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        report = await readiness.report()
        return JSONResponse(report.members(), status_code=report.status)

    path = urlsplit(identity.issuer).path
    for router, place, endpoint in (
        (under, "/.well-known/jwks.json", keys),
        (under, WELL_KNOWN, document),
        (root, "/livez", alive),
        (root, "/readyz", ready),
        *([(root, WELL_KNOWN + path, document)] if path else []),
    ):
        router.add_api_route(place, endpoint, response_model=None)
    return under, root
