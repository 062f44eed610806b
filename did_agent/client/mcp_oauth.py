"""An agent as OAuth client of MCP servers that others run (MCP authorization, revision 2026-07-28 and its extensions).

Each function returns authentication for `httpx2.AsyncClient(auth=…)`, for every way an agent can be somebody: as a
person's assistant, by its own key, by a secret it was given, by its company's grant, by its platform's identity.  The
flows of the MCP SDK do what they do; around them tokens are bound to keys of ours wherever the server offers DPoP.
Credentials belong to the one `issuer` they are given with and are never sent to another.

Needs the MCP SDK: `pip install 'did-agent[mcp]'`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider, PrivateKeyJWTOAuthProvider
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from did_agent.client.mcp_oauth_browser import LoopbackRedirect
from did_agent.client.mcp_oauth_dpop import BoundTokens
from did_agent.client.mcp_oauth_enterprise import EnterpriseIdentity
from did_agent.client.mcp_oauth_workload import Assertions, WorkloadAuth
from did_agent.clock import Clock, system_clock
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion

__all__ = [
    "EnterpriseIdentity",
    "LoopbackRedirect",
    "MemoryStorage",
    "agent_assertions",
    "enterprise_auth",
    "key_auth",
    "person_auth",
    "secret_auth",
    "workload_auth",
]

SecretMethod = Literal["client_secret_basic", "client_secret_post"]


class MemoryStorage:
    """Token storage for as long as the process lives."""

    def __init__(self, client: OAuthClientInformationFull | None = None) -> None:
        self._tokens: OAuthToken | None = None
        self._client = client

    async def get_tokens(self) -> OAuthToken | None:
        """Return what was kept."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens."""
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return how this client is registered."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a registration."""
        self._client = client_info


def person_auth(
    server_url: str,
    *,
    redirect_uri: str,
    open_page: Callable[[str], Awaitable[None]],
    answer: Callable[[], Awaitable[dict[str, str]]],
    client_name: str = "did-agent",
    client_metadata_url: str | None = None,
    registered: OAuthClientInformationFull | None = None,
    storage: TokenStorage | None = None,
    bind_to: Sequence[SigningKey] | None = None,
) -> httpx2.Auth:
    """Act for a person who signs in and consents (authorization code with PKCE); see `LoopbackRedirect`.

    The client is `registered` beforehand (its record names the issuer), or described at `client_metadata_url`, or
    registers itself where the server still offers that.
    """
    provider: OAuthClientProvider

    async def open_checked(url: str) -> None:
        # Without S256 a stolen code is as good as ours: the revision says MUST refuse (OAuth 2.1, 7.5.2).
        known = provider.context.oauth_metadata
        if known is not None and "S256" not in (known.code_challenge_methods_supported or ()):
            raise OAuthFlowError("the authorization server does not offer PKCE with S256")
        await open_page(url)

    async def result() -> AuthorizationCodeResult:
        found = await answer()
        return AuthorizationCodeResult(code=found["code"], state=found.get("state"), iss=found.get("iss"))

    provider = OAuthClientProvider(
        server_url=server_url,
        client_metadata=OAuthClientMetadata(client_name=client_name, redirect_uris=[AnyUrl(redirect_uri)]),
        storage=storage or MemoryStorage(registered),
        redirect_handler=open_checked,
        callback_handler=result,
        client_metadata_url=client_metadata_url,
    )
    return _bound(provider, bind_to)


def key_auth(
    server_url: str,
    *,
    issuer: str,
    client_id: str,
    assertions: Assertions,
    scope: str | None = None,
    storage: TokenStorage | None = None,
    bind_to: Sequence[SigningKey] | None = None,
) -> httpx2.Auth:
    """Act for the agent itself, proven by a key (client credentials with `private_key_jwt`); see `agent_assertions`."""
    provider = PrivateKeyJWTOAuthProvider(
        server_url=server_url,
        storage=storage or MemoryStorage(),
        client_id=client_id,
        assertion_provider=assertions,
        scope=scope,
        issuer=issuer,
    )
    return _bound(provider, bind_to)


def secret_auth(
    server_url: str,
    *,
    issuer: str,
    client_id: str,
    client_secret: str,
    method: SecretMethod = "client_secret_basic",
    scope: str | None = None,
    storage: TokenStorage | None = None,
    bind_to: Sequence[SigningKey] | None = None,
) -> httpx2.Auth:
    """Act for the agent itself where the server knows nothing better than a shared secret."""
    provider = ClientCredentialsOAuthProvider(
        server_url=server_url,
        storage=storage or MemoryStorage(),
        client_id=client_id,
        client_secret=client_secret,
        token_endpoint_auth_method=method,
        scope=scope,
        issuer=issuer,
    )
    return _bound(provider, bind_to)


def enterprise_auth(
    server_url: str,
    *,
    issuer: str,
    client_id: str,
    client_secret: str,
    identity: EnterpriseIdentity,
    method: SecretMethod = "client_secret_basic",
    scope: str | None = None,
    storage: TokenStorage | None = None,
    bind_to: Sequence[SigningKey] | None = None,
) -> httpx2.Auth:
    """Act for a person whose company decides about it, without a consent page (ID-JAG)."""
    provider = IdentityAssertionOAuthProvider(
        server_url=server_url,
        storage=storage or MemoryStorage(),
        client_id=client_id,
        client_secret=client_secret,
        issuer=issuer,
        assertion_provider=identity.id_jag,
        scope=scope,
        token_endpoint_auth_method=method,
    )
    return _bound(provider, bind_to)


def workload_auth(
    server_url: str,
    *,
    issuer: str,
    assertions: Assertions,
    scope: str | None = None,
    bind_to: Sequence[SigningKey] | None = None,
) -> httpx2.Auth:
    """Act as the workload that the platform says this process is; `assertions` fetches the platform's JWT."""
    return _bound(WorkloadAuth(server_url, issuer=issuer, assertions=assertions, scope=scope), bind_to)


def agent_assertions(key: SigningKey, *, clock: Clock = system_clock) -> Assertions:
    """Return client assertions by an agent's own key, whose did:key is the client id."""

    async def assertion(audience: str) -> str:
        return make_client_assertion(key, audience=audience, now=clock())

    return assertion


def _bound(flow: httpx2.Auth, keys: Sequence[SigningKey] | None) -> httpx2.Auth:
    # Keys made here end with the process, and so does the worth of every token bound to them.
    own = keys if keys is not None else (ed25519.SigningKey.generate(), ecdsa.SigningKey.generate("P-256"))
    return BoundTokens(flow, own)
