"""Limits counted in Valkey or Redis, for guards on several machines: one script, one round trip.

A counter that forgets gives every budget again: see `verifier.adapters.valkey_server` for which servers are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from verifier.adapters.valkey_server import ValkeyServer
from verifier.limits.costs import BILLION
from verifier.limits.counting import Verdict, worst
from verifier.limits.model import HOUR, REFUNDABLE, SECOND, Charge, Count, Refused, Spent

_PREFIX: Final = "{did-agent-limits}"  # one hash slot, so that a script may touch all keys
_NEVER: Final = -1

# Numbers of scripts are exact up to 2**53, so amounts come in two parts: whole units and billionths.
_SPEND: Final = """
local now, refundable, allowed = tonumber(ARGV[1]), tonumber(ARGV[2]), true
local waits, starts, whole, parts, rows = {}, {}, {}, {}, {}
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('SPENT before') end
for i = 2, #KEYS do
  local base, n = 2 + (i - 2) * 9, i - 1
  local rate = ARGV[base + 1] == 'rate'
  local cap1, cap2 = tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
  local cost1, cost2 = tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  local window, kept = tonumber(ARGV[base + 6]), tonumber(ARGV[base + 7])
  local early, between = tonumber(ARGV[base + 8]), tonumber(ARGV[base + 9])
  local row = redis.call('HMGET', KEYS[i], 'start', 'whole', 'parts', 'seen')
  local at = math.max(now, tonumber(row[4] or '0'))
  waits[n], whole[n], parts[n] = 0, 0, 0
  if rate then
    local due = math.max(at, tonumber(row[1] or '0'))
    starts[n] = due + between
    waits[n] = math.max(0, due - at - early)
    rows[n] = {starts[n], 0, 0, at, kept}
  else
    local start, used1, used2 = at, 0, 0
    if row[1] and (window < 0 or at < tonumber(row[1]) + window) then
      start, used1, used2 = tonumber(row[1]), tonumber(row[2]), tonumber(row[3])
    end
    starts[n] = start
    local left1, left2 = cap1 - used1, cap2 - used2
    if left2 < 0 then left1, left2 = left1 - 1, left2 + 1000000000 end
    if left1 < 0 then left1, left2 = 0, 0 end
    whole[n], parts[n] = left1, left2
    if cost1 > left1 or (cost1 == left1 and cost2 > left2) then
      local hopeless = window < 0 or cost1 > cap1 or (cost1 == cap1 and cost2 > cap2)
      waits[n] = hopeless and -1 or start + window - at
    end
    local sum1, sum2 = used1 + cost1, used2 + cost2
    if sum2 >= 1000000000 then sum1, sum2 = sum1 + 1, sum2 - 1000000000 end
    rows[n] = {start, sum1, sum2, at, kept}
  end
  if waits[n] ~= 0 then allowed = false end
end
if allowed then
  redis.call('SET', KEYS[1], '1', 'PX', refundable)
  for i = 2, #KEYS do
    local row, names, out = rows[i - 1], {'start', 'whole', 'parts', 'seen'}, {}
    for f = 1, 4 do
      out[#out + 1] = names[f]
      out[#out + 1] = string.format('%.0f', row[f])
    end
    redis.call('HSET', KEYS[i], unpack(out))
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', row[5]))
  end
end
return {waits, starts, whole, parts}
"""
_REFUND: Final = """
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
for i = 2, #KEYS do
  local base = (i - 2) * 9
  local row = redis.call('HMGET', KEYS[i], 'start', 'whole', 'parts')
  if row[1] and ARGV[base + 1] == 'rate' then
    redis.call('HSET', KEYS[i], 'start', string.format('%.0f', tonumber(row[1]) - tonumber(ARGV[base + 9])))
  elseif row[1] and row[1] == ARGV[#KEYS * 9 - 9 + i - 1] then
    local used1, used2 = tonumber(row[2]) - tonumber(ARGV[base + 4]), tonumber(row[3]) - tonumber(ARGV[base + 5])
    if used2 < 0 then used1, used2 = used1 - 1, used2 + 1000000000 end
    if used1 < 0 then used1, used2 = 0, 0 end
    redis.call('HSET', KEYS[i], 'whole', string.format('%.0f', used1), 'parts', string.format('%.0f', used2))
  end
end
return 1
"""


class ValkeyLimits:
    """A `LimitCounter` in a server that speaks RESP; `unsafe` takes one that may forget."""

    def __init__(self, url: str, *, unsafe: bool = False) -> None:
        self._server = ValkeyServer(url, keeps="limits", unsafe=unsafe)
        self._spend, self._refund = self._server.script(_SPEND), self._server.script(_REFUND)

    async def spend(self, charges: Sequence[Charge], now: int, spend_id: str) -> Spent | Refused:
        """Make all charges, or none; see `LimitCounter`."""
        made = tuple(charges)
        arguments = [now, REFUNDABLE // 1000, *(value for charge in made for value in _fields(charge))]
        answer = await self._server.run(self._spend, _keys(spend_id, made), arguments)
        told = zip(made, answer[0], answer[2], answer[3], strict=True)
        verdicts = [_verdict(charge, wait, whole, part) for charge, wait, whole, part in told]
        return worst(made, verdicts) or Spent(id=spend_id, charges=made, starts=tuple(map(int, answer[1])))

    async def refund(self, spent: Spent) -> None:
        """Take a spend back, once; see `LimitCounter`."""
        arguments = [*(value for charge in spent.charges for value in _fields(charge)), *spent.starts]
        await self._server.run(self._refund, _keys(spent.id, spent.charges), arguments)

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()


def _keys(spend_id: str, charges: Sequence[Charge]) -> list[str]:
    return [f"{_PREFIX}:spend:{spend_id}", *(f"{_PREFIX}:{charge.kind}:{charge.account}" for charge in charges)]


def _fields(charge: Charge) -> list[object]:
    """Return the nine arguments that tell the scripts of a charge."""
    is_amount, is_rate = charge.kind == "amount", charge.kind == "rate"
    cap, cost = (divmod(value, BILLION) if is_amount else (value, 0) for value in (charge.cap, charge.cost))
    window = _NEVER if charge.window is None else charge.window
    kept = (charge.kept + HOUR) * 1000 // SECOND
    early, between = (charge.cap, charge.cost) if is_rate else (0, 0)
    return [charge.kind, *cap, *cost, window, kept, early, between]


def _verdict(charge: Charge, wait: int, whole: int, part: int) -> Verdict:
    after = Count(start=0, used=0, seen=0)  # the server keeps it
    left = whole * BILLION + part if charge.kind == "amount" else whole
    return Verdict(allowed=wait == 0, after=after, wait=None if wait == _NEVER else wait, left=left)
