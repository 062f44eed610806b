"""What the tools of a wrapped server are right now, in its own words: it is asked from inside, by no caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from did_agent.client.tools import list_tools
from did_agent.errors import PeerUnavailable

ASK_SECONDS: Final = 5.0  # s a server may take to list its tools
_KEPT: Final = (b"host", b"origin")  # what an inner server may check before it answers


async def definitions(app: Any, *, url: str, scope: Mapping[str, Any] | None = None) -> Sequence[Mapping[str, object]]:
    """Return all tools of an ASGI app, by the newest wire that it answers on.

    `scope` is a request at hand, whose host the app is known to answer to.
    Raises: PeerUnavailable, NotAuthenticated.
    """
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    given = [] if scope is None else [pair for pair in scope["headers"] if pair[0].lower() in _KEPT]
    try:
        async with (
            asyncio.timeout(ASK_SECONDS),
            httpx2.AsyncClient(transport=transport, headers=given, trust_env=False) as http,
        ):
            return await list_tools(http, url)
    except TimeoutError as error:
        raise PeerUnavailable(f"the server did not list its tools within {ASK_SECONDS} s") from error
