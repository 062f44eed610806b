"""`DidAgentAuth`: the guard as FastMCP's auth provider, with all that `protect` does, and a check for single tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Unpack
from urllib.parse import urlsplit

from fastmcp.server.auth import AccessToken, AuthContext, AuthProvider
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.authentication import AuthCredentials
from starlette.middleware import Middleware
from starlette.routing import Route

from did_agent.credential.capability import tool_scope
from verifier.composition import compose
from verifier.mcp.caller import current_caller
from verifier.mcp.guard import Guard, metadata_of
from verifier.settings import GuardOptions

# FastMCP lets nothing through without such a header; the credential itself was for the guard (DEL-13).
_STAND_IN: Final = (b"authorization", b"Bearer admitted-by-did-agent")


class DidAgentAuth(AuthProvider):
    """`FastMCP("x", auth=DidAgentAuth(resource=…, bridge=…))`; the options are those of `protect`.

    Raises: Misconfigured.
    """

    def __init__(  # each is one thing a deployment may have to say
        self,
        *,
        resource: str,
        bridge: str | None = None,
        name: str | None = None,
        hide_tools: bool = False,
        **options: Unpack[GuardOptions],
    ) -> None:
        parts = urlsplit(resource)
        super().__init__(base_url=f"{parts.scheme}://{parts.netloc}")
        self._parts = compose(resource=resource, bridge=bridge, **options)
        self._metadata = metadata_of(self._parts, resource=resource, bridge=bridge, name=name, scopes=())
        self._hide_tools = hide_tools

    async def verify_token(self, token: str) -> AccessToken | None:  # noqa: ARG002  # its name is FastMCP's
        """Believe nothing that comes past the guard; FastMCP never asks behind it."""
        return None

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Return no routes: the guard serves the metadata, character by character."""
        self.set_mcp_path(mcp_path)
        return []

    def get_middleware(self) -> list[Middleware]:
        """Return the guard, and what tells FastMCP whom it admitted."""
        return [
            Middleware(_Guarding, wrap=self._wrap),
            Middleware(_AsUser),
            Middleware(AuthContextMiddleware),
        ]

    def _wrap(self, app: Any) -> Guard:
        return Guard(app, self._parts, self._metadata, hide_tools=self._hide_tools)


class _Guarding:
    """The guard as Starlette makes middleware."""

    def __init__(self, app: Any, wrap: Callable[[Any], Guard]) -> None:
        self._guard = wrap(app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._guard(scope, receive, send)


class _AsUser:
    """Shows the admitted caller to FastMCP; without one, only what the guard itself answers got here."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            caller = current_caller()
            token = AccessToken(
                token="",
                client_id=caller.agent,
                scopes=sorted(caller.scopes),
                subject=caller.principal.id,
                claims={"iss": caller.principal.namespace, "sub": caller.principal.id, "actors": list(caller.actors)},
            )
            scope = {
                **scope,
                "user": AuthenticatedUser(token),
                "auth": AuthCredentials(token.scopes),
                "headers": [*scope["headers"], _STAND_IN],
            }
        await self._app(scope, receive, send)


def require_capability(tool: str) -> Callable[[AuthContext], bool]:
    """Return an auth check of FastMCP for one component: `@mcp.tool(auth=require_capability("create_order"))`.

    For components whose name is not the tool's that capabilities speak of; every tool is judged by its own name anyway.
    """

    def check(_context: AuthContext) -> bool:
        caller = current_caller()
        named = any(tool in held.tools for held in caller.capabilities)
        return named and tool_scope(tool) in caller.scopes

    return check
