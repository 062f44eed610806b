"""httpx authentication by an agent's or operator's own key: one resource, one token, renewed in time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import datetime, timedelta
from typing import Final

import httpx2

from did_agent.clock import Clock, system_clock
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE
from did_agent.proof.jwt import unverified_jws

RENEW_BEFORE: Final = timedelta(seconds=30)  # of a token's end


class TokenAuth(httpx2.Auth):
    """Shows a token on every request; fetches another when it is about to end or was refused."""

    requires_response_body = False

    def __init__(self, fetch: Callable[[], Awaitable[str]], *, clock: Clock = system_clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._token: str | None = None
        self._renew_at: datetime | None = None

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Refuse: tokens are fetched asynchronously."""
        raise RuntimeError(f"{request.url}: use httpx2.AsyncClient with this authentication")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Add the token; on a 401 try once more with a fresh one."""
        fresh = await self._ensure()
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx2.codes.UNAUTHORIZED and not fresh:
            self._token = None
            await self._ensure()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    async def _ensure(self) -> bool:
        if self._token is not None and self._renew_at is not None and self._clock() < self._renew_at:
            return False
        self._token = await self._fetch()
        self._renew_at = _end_of(self._token) - RENEW_BEFORE
        return True


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
