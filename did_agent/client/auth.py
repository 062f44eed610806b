"""httpx authentication by an agent's or operator's own key: one resource, one token, renewed in time.

With DPoP the token is worth nothing without the key: each request carries a proof that is good for it alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import datetime, timedelta
from typing import Final

import httpx2

from did_agent.client.dpop import DPoPSigner
from did_agent.clock import Clock, system_clock
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE
from did_agent.proof.jwt import unverified_jws

RENEW_BEFORE: Final = timedelta(seconds=30)  # of a token's end


class TokenAuth(httpx2.Auth):
    """Shows a token on every request; fetches another when it is about to end or was refused."""

    requires_response_body = False

    def __init__(
        self, fetch: Callable[[], Awaitable[str]], *, dpop: DPoPSigner | None = None, clock: Clock = system_clock
    ) -> None:
        self._fetch, self._dpop, self._clock = fetch, dpop, clock
        self._token: str | None = None
        self._renew_at: datetime | None = None
        self._fetching = asyncio.Lock()  # many requests at once need one token, not one each

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Refuse: tokens are fetched asynchronously."""
        raise RuntimeError(f"{request.url}: use httpx2.AsyncClient with this authentication")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Add the token, with the proof of its key where it has one; on a 401 try once more with a fresh one."""
        token, fresh = await self._current(refused=None)
        response = yield self._show(request, token)
        if self._dpop is not None and self._dpop.learn(response):
            response = yield self._show(request, token)
        if response.status_code == httpx2.codes.UNAUTHORIZED and not fresh:
            token, _ = await self._current(refused=token)
            yield self._show(request, token)

    def _show(self, request: httpx2.Request, token: str) -> httpx2.Request:
        if self._dpop is None:
            request.headers["Authorization"] = f"Bearer {token}"
        else:
            request.headers["Authorization"] = f"DPoP {token}"
            request.headers["DPoP"] = self._dpop.proof(request.method, str(request.url), access_token=token)
        return request

    async def _current(self, *, refused: str | None) -> tuple[str, bool]:
        """Return a token other than `refused`, and whether it was fetched just now."""
        async with self._fetching:
            known, renew_at = self._token, self._renew_at
            if known is not None and known != refused and renew_at is not None and self._clock() < renew_at:
                return known, False
            token = await self._fetch()
            self._token, self._renew_at = token, _end_of(token) - RENEW_BEFORE
            return token, True


class PresentationAuth(httpx2.Auth):
    """Shows a fresh presentation on every request; each is good for one request only."""

    def __init__(self, present: Callable[[], str]) -> None:
        self._present = present

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the presentation."""
        request.headers["Authorization"] = f"Bearer {self._present()}"
        yield request


def _end_of(token: str) -> datetime:
    _, claims = unverified_jws(token)
    expires = claims.get("exp")
    if not isinstance(expires, int):
        raise BadJOSE("the token has no end")
    return from_numeric_date(expires)
