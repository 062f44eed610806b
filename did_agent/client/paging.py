"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from did_agent.client.wire import objects_in, text_in

Fetch = Callable[[dict[str, str]], Awaitable[dict[str, Any]]]


async def pages(fetch: Fetch, name: str, filters: dict[str, str | None]) -> AsyncIterator[dict[str, Any]]:
    """Yield every object that a list calls `name`, asking for the next page when one is used up.

    `fetch` gets the query of one page; filters that are None are left out.
    Raises: ServerRefused, PeerUnavailable.
    """
    query = {key: value for key, value in filters.items() if value is not None}
    while True:
        page = await fetch(query)
        for found in objects_in(page, name):
            yield found
        if page.get("next") is None:
            return
        query = {**query, "after": text_in(page, "next")}
