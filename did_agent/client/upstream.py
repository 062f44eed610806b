"""The bridge's look at its company provider, as the operator asks for it."""

from __future__ import annotations

from typing import Any

import httpx2

from did_agent.client.wire import send


async def examine_upstream(bridge: str, *, auth: httpx2.Auth) -> dict[str, Any]:
    """Return what works between a bridge and its provider, step by step.

    Raises: ServerRefused, PeerUnavailable.
    """
    return await send("bridge", bridge, "POST", "/upstream/test", auth=auth)
