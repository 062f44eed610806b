"""Readiness: named parts, each looked at for a bounded time; an answer says which part, never why in words (OPS-03)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from did_agent.errors import DidAgentError

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"
PATIENCE: Final = 1.0  # s a look may take
KEPT: Final = 1.0  # s an answer is given again, however often it is asked for
OK: Final = "ok"
WORDS: Final = ("ok", "late", "away", "full", "stale", "wrong_schema", "failed", "slow")  # all that is ever said
_log: Final = logging.getLogger("did_agent.ready")

Look = Callable[[], Awaitable[str]]  # one of the words


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something a party works with; without what is `needed` nobody should send it anything."""

    name: str
    look: Look
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the parts are."""

    parts: Mapping[str, str]
    missing: tuple[str, ...]  # needed ones that are not well

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 503 if self.missing else 200

    @property
    def word(self) -> str:
        """The whole in one word."""
        if self.missing:
            return "failing"
        return OK if all(said == OK for said in self.parts.values()) else "degraded"

    def members(self) -> dict[str, object]:
        """Return the answer as JSON."""
        return {"status": self.word, "parts": dict(self.parts)}

    def body(self) -> bytes:
        """Return the answer."""
        return json.dumps(self.members()).encode()


@dataclass(slots=True, kw_only=True)
class Readiness:
    """Looks at the parts of one party; many who ask at once cause one look."""

    parts: Sequence[Part]
    patience: float = PATIENCE
    kept: float = KEPT
    _report: Report | None = None
    _until: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def report(self) -> Report:
        """Return how the parts are, or were a moment ago."""
        if self._report is None or time.monotonic() >= self._until:
            async with self._lock:
                if self._report is None or time.monotonic() >= self._until:
                    self._report = await self._look()
                    self._until = time.monotonic() + self.kept
        return self._report

    async def values(self) -> Mapping[tuple[str, ...], float]:
        """Return the parts as a metric has them."""
        return {(name,): float(said == OK) for name, said in (await self.report()).parts.items()}

    async def _look(self) -> Report:
        said = await asyncio.gather(*(self._ask(part) for part in self.parts))
        parts = {part.name: word for part, word in zip(self.parts, said, strict=True)}
        missing = tuple(part.name for part in self.parts if part.needed and parts[part.name] != OK)
        if missing and (self._report is None or self._report.missing != missing):
            level = logging.INFO if self._report is None else logging.WARNING  # at first it is only starting
            _log.log(level, "not ready: %s", ", ".join(f"{name} {parts[name]}" for name in missing))
        return Report(parts=parts, missing=missing)

    async def _ask(self, part: Part) -> str:
        try:
            async with asyncio.timeout(self.patience):
                return await part.look()
        except TimeoutError:
            return "slow"
        except DidAgentError as error:
            _log.info("%s: %s", part.name, error.code)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is not well, and the answer says no more
            _log.info("%s: %s", part.name, type(error).__name__)
        return "failed"


def part(name: str, is_well: Callable[[], bool], otherwise: str, *, needed: bool = True) -> Part:
    """Return a part that a look into memory judges."""

    async def look() -> str:
        return OK if is_well() else otherwise

    return Part(name=name, look=look, needed=needed)


def feed_part(age: Callable[[], float | None], *, most: float, needed: bool) -> Part:
    """Return the part of a feed that must not be silent for longer than `most` seconds (REV-01)."""

    def is_heard() -> bool:
        silent = age()
        return silent is not None and silent <= most

    return part("revocation_feed", is_heard, "stale", needed=needed)
