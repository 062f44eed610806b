"""Questions to people, part of every transaction, and how people hear of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from bridge.model.backchannel import Asking


class Askings(Protocol):
    """Kept by digest; an agent has at most one open question to a person."""

    # False when the agent's last question to this person is still open, or was answered no a short while ago.
    async def add_asking(self, asking: Asking) -> bool: ...

    async def asking(self, digest: str) -> Asking | None: ...
    async def waiting_askings(self, username: str, *, now: datetime) -> Sequence[Asking]: ...

    # How many questions to this person, and by this agent, are not over.
    async def open_askings(self, username: str, agent: str, *, now: datetime) -> tuple[int, int]: ...

    # True for one answer, to a question that was waiting; it is kept until `until`.
    async def answer_asking(
        self,
        digest: str,
        state: Literal["allowed", "denied"],
        allowed: frozenset[str],
        *,
        now: datetime,
        until: datetime,
    ) -> bool: ...

    async def pace_asking(self, digest: str, *, polled: datetime, interval: int) -> None: ...

    # True once, when it was allowed: of many at once one succeeds.
    async def take_asking(self, digest: str) -> bool: ...


class Notice(Protocol):
    """Tells a person that somebody waits for them; need not arrive: the account page is the place."""

    def asked(self, asking: Asking) -> None: ...
