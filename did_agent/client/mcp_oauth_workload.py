"""A workload's own JWT exchanged for a token of an MCP server (RFC 7523, 2.1; MCP workload identity, SEP-1933).

No client and no registration: the platform's JWT is all there is.  It goes to the one configured authorization server,
whatever the MCP server says, and a refusal is final: nothing else is tried.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx2

from did_agent.client.errors import members_of
from did_agent.client.wire import text_in
from did_agent.clock import Clock, system_clock
from did_agent.errors import NotAuthenticated, PeerUnavailable, WrongIssuer

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RENEW_BEFORE: Final = timedelta(seconds=30)  # of a token's end

# Gets the issuer the assertion is for; returns a JWT of the platform with that audience.
Assertions = Callable[[str], Awaitable[str]]


class WorkloadAuth(httpx2.Auth):
    """Authenticates requests to `server_url` with tokens that `issuer` gives for the workload's assertions."""

    def __init__(
        self,
        server_url: str,
        *,
        issuer: str,
        assertions: Assertions,
        scope: str | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._resource, self._issuer, self._assertions = server_url, issuer, assertions
        self._scopes = frozenset((scope or "").split())
        self._clock = clock
        self._token: str | None = None
        self._renew_at: datetime | None = None
        self._endpoint: str | None = None
        self._has_failed = False

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Refuse: assertions are fetched asynchronously."""
        raise RuntimeError(f"{request.url}: use httpx2.AsyncClient with this authentication")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Show the token; on a challenge exchange one assertion and repeat the request once.

        Raises: ServerRefused, PeerUnavailable, WrongIssuer, NotAuthenticated once the workload was refused.
        """
        if self._token is not None and self._is_current():
            request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if not self._is_challenge(response):
            return
        if self._has_failed:
            raise NotAuthenticated("the authorization server has refused this workload")
        self._scopes |= frozenset((_parameter(response, "scope") or "").split())
        for url in () if self._endpoint else _metadata_urls(self._issuer):
            answer = yield httpx2.Request("GET", url)
            await answer.aread()
            if answer.is_success:
                self._endpoint = self._endpoint_in(members_of(answer))
                break
        answer = yield await self._exchange()
        await answer.aread()
        self._keep(answer)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _is_current(self) -> bool:
        return self._renew_at is None or self._clock() < self._renew_at

    def _is_challenge(self, response: httpx2.Response) -> bool:
        if response.status_code == httpx2.codes.FORBIDDEN:
            return _parameter(response, "error") == "insufficient_scope"
        return response.status_code == httpx2.codes.UNAUTHORIZED

    def _endpoint_in(self, metadata: Mapping[str, object]) -> str:
        # RFC 8414, 3.3: character by character, or another server's metadata could be passed off as this one's.
        if metadata.get("issuer") != self._issuer:
            raise WrongIssuer("the metadata is of another issuer")
        endpoint = text_in(dict(metadata), "token_endpoint")
        if urlsplit(endpoint)[:2] != urlsplit(self._issuer)[:2]:
            raise WrongIssuer("the token endpoint is not at its issuer")
        return endpoint

    async def _exchange(self) -> httpx2.Request:
        if self._endpoint is None:
            raise PeerUnavailable(f"{self._issuer[:200]} publishes no metadata")
        form = {"grant_type": JWT_BEARER, "assertion": await self._assertions(self._issuer), "resource": self._resource}
        if self._scopes:
            form["scope"] = " ".join(sorted(self._scopes))
        return httpx2.Request("POST", self._endpoint, data=form)

    def _keep(self, answer: httpx2.Response) -> None:
        # Whatever goes wrong: the assertion is not sent again, nor is anything else tried with it.
        self._token, self._has_failed = None, True
        members = members_of(answer)
        token, lifetime = text_in(members, "access_token"), members.get("expires_in")
        if str(members.get("token_type")).lower() != "bearer":
            raise PeerUnavailable("the token is of a type we cannot show")
        self._renew_at = None
        if isinstance(lifetime, int):
            self._renew_at = self._clock() + timedelta(seconds=lifetime) - RENEW_BEFORE
        self._token, self._has_failed = token, False


def _parameter(response: httpx2.Response, name: str) -> str | None:
    """Return a parameter of a challenge (RFC 6750, 3)."""
    for line in response.headers.get_list("www-authenticate"):
        _, found, rest = line.partition(f'{name}="')
        if found and line[: line.index(found)].endswith((" ", ",")):
            return rest.partition('"')[0]
    return None


def _metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's metadata may be (RFC 8414, 3.1 and 5)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    under = (f"{origin}{path}/.well-known/openid-configuration",) if path else ()
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        *under,
    )
