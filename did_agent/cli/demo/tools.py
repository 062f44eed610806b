"""Tool calls by the official MCP client, with the outcome as one short line."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from mcp.client.auth import TokenStorage
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

    from did_agent.agent import Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a tool call came to."""

    allowed: bool
    text: str


class Bearer(httpx2.Auth):
    """Shows one access token on every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Memory:
    """Token storage of the stock provider, in memory."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


def stock_provider(agent: Agent, *, resource: str, issuer: str) -> httpx2.Auth:
    """Return the MCP SDK's own `private_key_jwt` provider, given nothing but the agent's key and DID."""
    from mcp.client.auth.extensions.client_credentials import PrivateKeyJWTOAuthProvider, SignedJWTParameters

    storage: TokenStorage = _Memory()
    parameters = SignedJWTParameters(
        issuer=agent.did, subject=agent.did, signing_key=agent.private_key_pem(), signing_algorithm="EdDSA"
    )
    return PrivateKeyJWTOAuthProvider(
        server_url=resource,
        storage=storage,
        client_id=agent.did,
        assertion_provider=parameters.create_assertion_provider(),
        issuer=issuer,
    )


async def call(resource: str, auth: httpx2.Auth, tool: str, arguments: Mapping[str, object]) -> Outcome:
    """Call one tool over Streamable HTTP with the unmodified SDK client."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(resource, http_client=http)) as server,
    ):
        result = await server.call_tool(tool, dict(arguments))
    text = " ".join(part.text for part in result.content if part.type == "text")
    return Outcome(allowed=not result.is_error, text=text)


async def status_of(resource: str, auth: httpx2.Auth) -> int:
    """Send one bare `tools/list` and return the HTTP status, for refusals that come before MCP."""
    async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http:
        response = await http.post(
            resource,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
            headers={"Accept": "application/json, text/event-stream"},
        )
        return response.status_code
