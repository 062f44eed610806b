"""Asking a person who is elsewhere, and waiting for their answer (OpenID CIBA Core 1.0, poll mode)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from did_agent.client.bridge import ASSERTION_TYPE
from did_agent.client.dpop import DPoPSigner
from did_agent.client.errors import ServerRefused
from did_agent.client.wire import send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.errors import ConsentDenied, PeerUnavailable, RequestExpired
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion

GRANT_TYPE: Final = "urn:openid:params:grant-type:ciba"
MAX_WAIT: Final = 3_600  # s between two polls, whatever a server says
_SLOWER: Final = 5  # s more after each `slow_down`

Sleep = Callable[[float], Awaitable[None]]


class PersonElsewhere:
    """One agent at one bridge, asking people; with `dpop` the token is bound to its key."""

    def __init__(
        self,
        bridge: str,
        key: SigningKey,
        *,
        dpop: DPoPSigner | None = None,
        clock: Clock = system_clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._bridge, self._key, self._dpop, self._clock, self._sleep = bridge, key, dpop, clock, sleep

    async def ask(
        self,
        person: str,
        *,
        resource: str,
        message: str | None = None,
        scope: str | None = None,
        details: Sequence[Mapping[str, Any]] | None = None,
        seconds: int | None = None,
        task: str | None = None,
    ) -> str:
        """Ask `person`, wait, and return the token with which the agent acts for them.

        `message` is shown as the agent's words, `details` are `authorization_details`, `seconds` how long to wait,
        `task` what it is for.

        Raises: ConsentDenied, RequestExpired, ServerRefused, PeerUnavailable.
        """
        fields = {
            "login_hint": person,
            "resource": resource,
            "binding_message": message,
            "scope": scope,
            "authorization_details": None if details is None else json.dumps(list(map(dict, details))),
            "requested_expiry": None if seconds is None else str(seconds),
            "task": task,
        }
        asked = await self._post("/bc-authorize", fields)
        return await self._answer(text_in(asked, "auth_req_id"), _seconds(asked, "interval", 5))

    async def _answer(self, auth_req_id: str, interval: int) -> str:
        while True:
            await self._sleep(interval)
            try:
                told = await self._post("/token", {"grant_type": GRANT_TYPE, "auth_req_id": auth_req_id})
                return text_in(told, "access_token")
            except ServerRefused as refused:
                if refused.server_code == "access_denied":
                    raise ConsentDenied(refused.detail) from refused
                if refused.server_code == "expired_token":
                    raise RequestExpired(refused.detail) from refused
                if refused.server_code not in ("authorization_pending", "slow_down"):
                    raise
                interval += _SLOWER if refused.server_code == "slow_down" else 0

    async def _post(self, path: str, fields: Mapping[str, str | None]) -> dict[str, Any]:
        made = make_client_assertion(self._key, audience=self._bridge, now=self._clock())
        proof = {"client_assertion": made, "client_assertion_type": ASSERTION_TYPE}
        sent = {name: value for name, value in {**fields, **proof}.items() if value is not None}
        return await send("bridge", self._bridge, "POST", path, data=sent, dpop=self._dpop)


def _seconds(members: Mapping[str, Any], name: str, default: int) -> int:
    value = members.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_WAIT:
        raise PeerUnavailable(f"the answer has no {name} that one could keep to")
    return value
