"""The bridge's revocation feed (ADR 3): long-polled, signed, and not believed once it has been silent too long."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import httpx2

from did_agent.adapters.http import MAX_RESPONSE, peer_client
from did_agent.clock import Clock
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import PeerUnavailable, Revoked, StatusUnavailable, Suspended, UnknownEvent
from did_agent.keys.public import PublicKey
from did_agent.policy.caller import VerifiedCaller
from did_agent.proof.jose import parse_compact
from did_agent.tokens.security_event import RESUMPTIONS, SUSPENSIONS, Risk, SecurityEvent, verify_event
from verifier.ports import KeySource

WAIT: Final = 10  # s the bridge may keep a question open
STALENESS: Final = timedelta(seconds=30)  # silence after which nothing is admitted
FIRST_ANSWER: Final = 5.0  # s a call waits for the first answer after a start
RETRY: Final = 0.2  # s after a failure

_log: Final = logging.getLogger("did_agent.feed")


class RevocationFeed:
    """What the bridge has told us was revoked or suspended, from its first event on."""

    def __init__(self, bridge: str, keys: KeySource, *, clock: Clock, staleness: timedelta = STALENESS) -> None:
        self._bridge, self._keys, self._clock, self._staleness = bridge, keys, clock, staleness
        self._subscriber = secrets.token_urlsafe(12)
        self._cursor = 0
        self._heard: datetime | None = None
        self._first = asyncio.Event()
        self._ended: dict[str, type[Revoked | Suspended]] = {}
        self._risks: dict[str, dict[str, Risk]] = {}  # by subject and source
        self._watchers: list[Callable[[str], None]] = []

    def watch(self, ended: Callable[[str], None]) -> None:
        """Have `ended` called with the id of everything that is revoked or suspended, as soon as we hear of it."""
        self._watchers.append(ended)

    def age(self, now: datetime) -> float | None:
        """Return how many seconds ago the feed last answered; None before the first answer (REV-01)."""
        return None if self._heard is None else (now - self._heard).total_seconds()

    def is_heard(self, now: datetime) -> bool:
        """Tell whether what it said is still believed."""
        return self._heard is not None and now - self._heard <= self._staleness

    async def require_live(self, ids: Iterable[str], now: datetime) -> None:
        """Return when none of `ids` is revoked or suspended.

        Raises: Revoked, Suspended, StatusUnavailable.
        """
        if self._heard is None:
            try:
                await asyncio.wait_for(self._first.wait(), timeout=FIRST_ANSWER)
            except TimeoutError as error:
                raise StatusUnavailable("the revocation feed has not answered yet") from error
        if self._heard is None or now - self._heard > self._staleness:
            raise StatusUnavailable("the revocation feed has been silent for too long")
        for identifier in ids:
            ended = self._ended.get(identifier)
            if ended is not None:
                raise ended(f"{identifier} is {ended.code}")

    def risk_of(self, caller: VerifiedCaller, now: datetime) -> int:
        """Return the highest risk, 0 to 100, that the bridge signals of anybody involved."""
        if not self._risks:
            return 0
        principal, involved = caller.principal, caller.actors
        # Another issuer's "smith" is not the bridge's (DEL-11).
        if principal.kind != "user" or principal.namespace == self._bridge:
            involved = (*involved, principal.id)
        said = (risk for name in involved for risk in self._risks.get(name, {}).values())
        return max((risk.level for risk in said if now < risk.until), default=0)

    async def run(self) -> None:
        """Ask for ever; asking again is what tells the bridge that we have heard."""
        async with peer_client(timeout=WAIT + 5.0) as http:
            while True:
                try:
                    await self._ask(http)
                except Exception as error:  # noqa: BLE001  # whatever it was: who no longer listens misses revocations
                    # Before the first answer the parties are only starting, in whatever order.
                    level = logging.WARNING if self._heard is not None else logging.INFO
                    _log.log(level, "the revocation feed is away: %s", type(error).__name__)
                    await asyncio.sleep(RETRY)

    async def _ask(self, http: httpx2.AsyncClient) -> None:
        # The first question is answered at once, so that a start does not wait for an event.
        wait = WAIT if self._heard is not None else 0
        response = await http.get(
            f"{self._bridge}/revocations",
            params={"after": self._cursor, "wait": wait, "subscriber": self._subscriber},
        )
        if response.status_code != httpx2.codes.OK:
            raise PeerUnavailable(f"the feed answered {response.status_code}")
        answer = parse_object(response.content, max_bytes=MAX_RESPONSE)
        sets, cursor = answer.get("sets"), answer.get("cursor")
        if not isinstance(sets, list) or not isinstance(cursor, int) or cursor < self._cursor:
            raise PeerUnavailable("the feed's answer has another shape")
        for item in sets:
            await self._hear(item)
        self._cursor = cursor
        self._heard = self._clock()
        self._first.set()

    async def _hear(self, item: object) -> None:
        text = item.get("set") if isinstance(item, dict) else None
        if not isinstance(text, str):
            raise PeerUnavailable("the feed's answer has another shape")
        key = await self._keys.find(parse_compact(text).header.get("kid"))

        def find_key(_header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
            return key

        try:
            event = verify_event(
                text,
                find_key=find_key,
                expected_issuer=self._bridge,
                expected_audience=self._bridge,
                now=self._clock(),
            )
        except UnknownEvent as error:
            # A newer bridge may tell what this guard cannot act on; the events it knows must still be heard.
            _log.warning("the revocation feed tells of something unknown here: %s", error.detail)
            return
        self._apply(event)

    def _apply(self, event: SecurityEvent) -> None:
        if event.risk is not None:
            self._risks.setdefault(event.subject, {})[event.risk.source] = event.risk
        elif event.kind in RESUMPTIONS:
            if self._ended.get(event.subject) is Suspended:
                del self._ended[event.subject]
        elif event.kind in SUSPENSIONS:
            self._end(event.subject, self._ended.get(event.subject, Suspended))
        else:
            self._end(event.subject, Revoked)

    def _end(self, subject: str, how: type[Revoked | Suspended]) -> None:
        if self._ended.get(subject) is how:
            return
        self._ended[subject] = how
        for ended in self._watchers:
            try:
                ended(subject)
            except Exception:  # noqa: BLE001  # one that fails must not keep the others from hearing it
                _log.exception("an end was not taken note of")
