"""Tasks and risk signals at the bridge: what agents were set to do, its end, and how risky somebody is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from did_agent.client.bridge import ASSERTION_TYPE
from did_agent.client.wire import objects_in, send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion


async def complete_task(bridge: str, key: SigningKey, task: str, *, clock: Clock = system_clock) -> str:
    """End a task of the client that has this key, by the id the bridge gave it or the name the client did.

    Every token, code and refresh token of the task ends with it; returns the task's id.
    Raises: ServerRefused, PeerUnavailable.
    """
    assertion = make_client_assertion(key, audience=bridge, now=clock())
    proof = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
    return text_in(await send("bridge", bridge, "POST", "/tasks/complete", data={"task": task, **proof}), "task")


class TasksClient:
    """Talks to one bridge with an operator's rights; everything raises ServerRefused and PeerUnavailable."""

    def __init__(self, url: str, *, auth: httpx2.Auth) -> None:
        self.url, self._auth = url, auth

    async def tasks(self) -> list[dict[str, Any]]:
        """Return the tasks that are not over, the newest first."""
        return objects_in(await self._send("GET", "/tasks"), "tasks")

    async def complete(self, task: str) -> str:
        """End any task by its id, and return that."""
        return text_in(await self._send("POST", "/tasks/complete", data={"task": task}), "task")

    async def signals(self) -> list[dict[str, Any]]:
        """Return who is signalled as a risk now, the riskiest first."""
        return objects_in(await self._send("GET", "/signals"), "signals")

    async def signal(self, subject: str, *, level: int, seconds: int, reason: str = "") -> Mapping[str, Any]:
        """Say how risky an agent or a person is, for a while; 0 takes back what was said before."""
        body = {"subject": subject, "level": level, "seconds": seconds, "reason": reason}
        return await self._send("POST", "/signals", json=body)

    async def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return await send("bridge", self.url, method, path, auth=self._auth, **content)
