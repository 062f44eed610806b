"""Marks in Valkey or Redis, for guards on several machines: one script, one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from did_agent.policy.descoping import Mark
from verifier.adapters.valkey_server import ValkeyServer
from verifier.limits.model import MARGIN, SECOND, microseconds
from verifier.marks import Before, Marked

_PREFIX: Final = "{did-agent-marks}:"  # one hash slot, so that a script may touch all keys
_NOTHING: Final = -1

# Moments are those of the guards, whole microseconds below 2**53; the server's own clock only clears what is over.
_CLAIM: Final = """
local now, by, looked, found = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), {}
for i = 1, looked do
  local until_ = redis.call('HGET', KEYS[i], 'until')
  if until_ and tonumber(until_) > now then return {i} end
end
for i = looked + 1, #KEYS do
  local n = i - looked
  local wanted, kept = ARGV[2 * n + 2], ARGV[2 * n + 3]
  local row = redis.call('HMGET', KEYS[i], 'until', 'by')
  if not row[1] or tonumber(row[1]) < tonumber(wanted) then
    redis.call('HSET', KEYS[i], 'until', wanted, 'by', by)
    redis.call('PEXPIRE', KEYS[i], kept)
    found[#found + 1] = {n, row[1] or '-1', row[2] or ''}
  end
end
return {0, found}
"""
_RELEASE: Final = """
for i = 1, #KEYS do
  if redis.call('HGET', KEYS[i], 'by') == ARGV[1] then
    if ARGV[2 * i] == '-1' then
      redis.call('DEL', KEYS[i])
    else
      redis.call('HSET', KEYS[i], 'until', ARGV[2 * i], 'by', ARGV[2 * i + 1])
    end
  end
end
return 1
"""


class ValkeyMarks:
    """Implements `verifier.ports.Marks` in a server that speaks RESP; `unsafe` takes one that may forget."""

    def __init__(self, url: str, *, unsafe: bool = False) -> None:
        self._server = ValkeyServer(url, keeps="marks", unsafe=unsafe)
        self._claim, self._release = self._server.script(_CLAIM), self._server.script(_RELEASE)

    async def claim(self, looked: Sequence[str], marks: Sequence[Mark], *, now: datetime, by: str) -> Marked | str:
        """Make all marks unless one of `looked` stands; see `Marks`."""
        at = microseconds(now)
        keys = [_PREFIX + key for key in (*looked, *(mark.key for mark in marks))]
        ends = [microseconds(mark.until) for mark in marks]
        arguments = [at, by, len(looked), *(part for end in ends for part in (end, _kept(end - at)))]
        answer = await self._server.run(self._claim, keys, arguments)
        if answer[0]:
            return looked[int(answer[0]) - 1]
        before = [
            Before(key=marks[number - 1].key, until=_moment(int(until)), by=_text(who))
            for number, until, who in answer[1]
        ]
        return Marked(by=by, before=tuple(before), now=now)

    async def release(self, marked: Marked) -> None:
        """Take marks back that nobody made again; see `Marks`."""
        keys = [_PREFIX + one.key for one in marked.before]
        stood = [part for one in marked.before for part in (_NOTHING if one.until is None else one.until, one.by)]
        await self._server.run(self._release, keys, [marked.by, *stood])

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()


def _kept(microseconds_left: int) -> int:
    """Return the milliseconds a row is kept: beyond its end, for clocks that differ."""
    return (max(0, microseconds_left) + MARGIN) * 1_000 // SECOND


def _moment(found: int) -> int | None:
    return None if found == _NOTHING else found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
