"""Looks after an agent while it works: fetches what it was granted, renews before the end, replaces its key by age."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, Final, Self

from did_agent.agent import Agent, Document
from did_agent.client.blocking import LOOP
from did_agent.client.errors import ServerRefused
from did_agent.client.own import documents_in
from did_agent.clock import Clock, system_clock
from did_agent.credential.model import CapabilityCredential, parse_capability_credential
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import AuthorizationPending, BadCredential, NotFound, PeerUnavailable, UnknownAgent

LOOK_AT_LEAST: Final = 300.0  # s between looks: rights may be granted and taken at any time
LOOK_AT_MOST: Final = 1.0  # s
RETRY_FIRST: Final = 1.0  # s after the issuer could not be reached
RETRY_LAST: Final = 60.0  # s
RENEW_WITHIN: Final = 1 / 3  # of a credential's life, before its end

Enrol = Callable[[], Awaitable[Document]]  # such as `lambda: agent.attest(issuer, read_token())`

_WAITING: Final = 10.0  # s between looks whether the owner agreed
_log: Final = logging.getLogger("did_agent.keeper")


class Keeper:
    """Keeps one agent's credentials in force, and its key young, as long as its issuer lets it.

    `async with Keeper(agent, issuer):` works while the block runs; `with Keeper(agent, issuer):` does the same on a
    thread of its own.  `enrol` is called when the issuer does not know the agent's key.  A key is replaced when it is
    older than `rotate_after`; without it, never.
    """

    def __init__(
        self,
        agent: Agent,
        issuer: str,
        *,
        enrol: Enrol | None = None,
        rotate_after: timedelta | None = None,
        clock: Clock = system_clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.agent, self._issuer, self._rotate_after = agent, issuer, rotate_after
        self._enrol, self._clock, self._sleep = enrol, clock, sleep
        self._tending = asyncio.Lock()  # nothing is enrolled or rotated twice at a time
        self._final: set[str] = set()  # ids of credentials that will not be renewed
        self._task: asyncio.Task[None] | None = None
        self._thread: Future[None] | None = None

    async def tend(self) -> float:
        """Do once what is due; return the seconds until something will be.

        Raises: ServerRefused, PeerUnavailable, Misconfigured.
        """
        async with self._tending:
            return await self._tend()

    async def _tend(self) -> float:
        try:
            record = await self._standing()
        except AuthorizationPending:
            return _WAITING
        self.agent.add_credential(documents_in(record))
        waits = [await self._renew(), await self._rotate(str(record.get("agent_id")))]
        return max(LOOK_AT_MOST, min(LOOK_AT_LEAST, *waits))

    async def _standing(self) -> dict[str, Any]:
        """Return what the agent is and holds, after it ended a change of keys that was begun, or enrolled.

        Raises: AuthorizationPending while its owner is asked, ServerRefused, PeerUnavailable, Misconfigured.
        """
        try:
            if self.agent.is_changing_keys:
                await self.agent.rotate(self._issuer)
            return await self.agent.own_record(self._issuer).standing()
        except ServerRefused as refused:
            if self._enrol is None or refused.server_code != UnknownAgent.code:
                raise
            enrol = self._enrol
        await self._require_not_waiting()
        await enrol()
        return await self.agent.own_record(self._issuer).standing()

    async def _require_not_waiting(self) -> None:
        """Return if this key never asked: a token or attestation is used for it once.

        Raises: AuthorizationPending, ServerRefused when it was rejected, PeerUnavailable.
        """
        try:
            state = await self.agent.enrolling(self._issuer).state()
        except ServerRefused as refused:
            if refused.server_code != NotFound.code:
                raise
        else:
            raise AuthorizationPending(f"the key of {self.agent.name} is {state.get('verdict')}")

    async def run(self) -> None:
        """Do what is due, for ever; an issuer that is away, or says no, is asked again later."""
        retry = RETRY_FIRST
        while True:
            try:
                wait = await self.tend()
            except (PeerUnavailable, ServerRefused) as error:
                _log.warning("%s: %s", self.agent.name, error.detail)
                wait, retry = retry, min(retry * 2, RETRY_LAST)
            else:
                retry = RETRY_FIRST
            await self._sleep(wait * (0.9 + secrets.randbelow(100) / 1_000))  # so that many agents spread

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def __enter__(self) -> Self:
        """Begin, on a thread of its own."""
        self._thread = LOOP.begin(self.run())
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        if self._thread is not None:
            self._thread.cancel()

    async def _renew(self) -> float:
        now, wait = self._clock(), LOOK_AT_LEAST
        for held in self._held(now):
            due = held.valid_until - (held.valid_until - held.valid_from) * RENEW_WITHIN
            if due > now:
                wait = min(wait, (due - now).total_seconds())
                continue
            try:
                self.agent.add_credential(await self.agent.own_record(self._issuer).renew(held.id))
            except ServerRefused as refused:
                _log.info("%s: %s is not renewed: %s", self.agent.name, held.id, refused.server_code)
            self._final.add(held.id)  # renewed or refused: either way it is not asked for again
        return wait

    def _held(self, now: datetime) -> list[CapabilityCredential]:
        """Return what was granted to this key by an issuer, is in force and may still be renewed."""
        found = []
        for document in self.agent.credentials:
            try:
                held = parse_capability_credential(document)
            except BadCredential:
                continue  # an identity credential, or a form this version does not know
            own = held.subject == self.agent.did and held.parent_id is None
            if own and held.valid_from <= now < held.valid_until and held.id not in self._final:
                found.append(held)
        return found

    async def _rotate(self, agent_id: str) -> float:
        if self._rotate_after is None:
            return LOOK_AT_LEAST
        keys = await self.agent.own_record(self._issuer).keys(agent_id)
        added = next((key["added"] for key in keys if key.get("did") == self.agent.did), None)
        age = self._clock() - parse_timestamp(added)
        if age < self._rotate_after:
            return (self._rotate_after - age).total_seconds()
        await self.agent.rotate(self._issuer)
        return LOOK_AT_LEAST
