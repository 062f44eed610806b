"""`did_agent_auth`: what an `MCPServer` of the Python SDK is told to be guarded, where nothing can stand before it.

`protect` does more: it takes bound tokens, answers 403 with the scope that is lacking, cuts streams of who was revoked.
"""

from __future__ import annotations

from typing import Any, Unpack

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from did_agent.errors import DidAgentError, Misconfigured, NotAuthenticated, Unavailable
from verifier.composition import compose
from verifier.frameworks.mcp_sdk_calls import Screen, ToolGuard
from verifier.http import bearer_alone
from verifier.identifiers import fresh_uuid
from verifier.model import Admission
from verifier.parts import GuardParts
from verifier.settings import GuardOptions


class AdmittedToken(AccessToken):
    """The SDK's record of a token, with whom we admitted for it."""

    admission: Any


class BearerVerifier:
    """Implements the SDK's `TokenVerifier` for every form of credential that can be a bearer."""

    def __init__(self, parts: GuardParts) -> None:
        self._parts = parts

    async def verify_token(self, token: str) -> AdmittedToken | None:
        """Return whom a credential speaks of, or None when it is not believed.

        Raises: Unavailable, which the SDK answers with 500: nobody can tell whether it would be believed.
        """
        await self._parts.ensure_running()
        try:
            return as_token(token, await self._parts.verifier.admit(bearer_alone(token)), self._parts)
        except DidAgentError as error:
            await self._parts.verifier.refuse(error, action="resource.access", request_id=fresh_uuid())
            if isinstance(error, Unavailable):
                raise
            return None


def as_token(text: str, admission: Admission, parts: GuardParts) -> AdmittedToken:
    """Return an admission as the SDK keeps it; its client is the one acting now, so agents are told apart (DEL-12)."""
    caller = admission.caller
    return AdmittedToken(
        token=text,
        client_id=caller.agent,
        scopes=sorted(caller.scopes),
        expires_at=int(admission.valid_until.timestamp()),
        resource=parts.verifier.resource,
        subject=caller.principal.id,
        claims={"iss": caller.principal.namespace, "actors": list(caller.actors)},
        admission=admission,
    )


async def admitted_by_http() -> Admission:
    """Return who makes the request at hand.

    Raises: NotAuthenticated.
    """
    token = get_access_token()
    if not isinstance(token, AdmittedToken) or not isinstance(token.admission, Admission):
        raise NotAuthenticated("the request came by another way than the guarded one")
    return token.admission


def did_agent_auth(*, resource: str, bridge: str, **options: Unpack[GuardOptions]) -> dict[str, Any]:
    """Return keyword arguments for `MCPServer`: `MCPServer("x", **did_agent_auth(resource=…, bridge=…))`.

    The options are those of `protect`.  Raises: Misconfigured.
    """
    if not bridge:
        raise Misconfigured("the SDK names one authorization server: a bridge is needed")
    parts = compose(resource=resource, bridge=bridge, **options)
    # Strings, never URL objects: those would gain a slash, and identifiers are compared exactly.
    auth = AuthSettings.model_validate(
        {
            "issuer_url": bridge,
            "resource_server_url": resource,
            "required_scopes": [],
            "validate_token_resource": True,
        }
    )
    return {
        "token_verifier": BearerVerifier(parts),
        "auth": auth,
        "extensions": [ToolGuard(parts, admitted_by_http)],
        "middleware": [Screen(parts, admitted_by_http)],
    }
