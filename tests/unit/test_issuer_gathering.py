"""What comes at once is done together, and each has its own answer; no clock decides anything here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from did_agent.errors import DidAgentError, InvalidParameter, NotFound, StoreUnavailable
from issuer.service.gathering import LANES, TOGETHER, Gathering


@dataclass
class _Desk:
    """Answers with ten times what it is asked; refuses 13, breaks down on 99, is away on 77."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    rounds: list[list[int]] = field(default_factory=list)

    async def do(self, asked: Sequence[int]) -> Sequence[int | DidAgentError]:
        self.rounds.append(list(asked))
        await self.gate.wait()
        if 99 in asked:
            raise InvalidParameter("a value cannot be stored")
        if 77 in asked:
            raise StoreUnavailable("gone")
        return [NotFound("13") if one == 13 else one * 10 for one in asked]


async def _all(asked: Sequence[int], desk: _Desk) -> list[int | BaseException]:
    """Ask for all, those after the first when that one is under way."""
    gathering: Gathering[int, int] = Gathering()
    tasks = []
    for one in asked:
        tasks.append(asyncio.create_task(gathering.ask("home", one, desk.do)))
        while not desk.rounds:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_comes_meanwhile_goes_together_and_each_is_answered() -> None:
    desk = _Desk()
    assert await _all(range(1, 10), desk) == [one * 10 for one in range(1, 10)]
    assert desk.rounds == [[1], list(range(2, 10))]
    lonely = _Desk()
    assert await _all([5], lonely) == [50]
    assert lonely.rounds == [[5]]


async def test_who_is_refused_is_refused_alone() -> None:
    found = await _all([1, 2, 3, 13, 4, 5], _Desk())
    assert isinstance(found.pop(3), NotFound)
    assert found == [10, 20, 30, 40, 50]


async def test_who_breaks_the_transaction_breaks_its_own_alone() -> None:
    found = await _all([1, 2, 3, 99, 4, 13], _Desk())
    assert isinstance(found.pop(), NotFound)
    assert isinstance(found.pop(3), InvalidParameter)
    assert found == [10, 20, 30, 40]


async def test_nothing_is_done_twice_when_nobody_knows_whether_it_was_done() -> None:
    desk = _Desk()
    found = await _all([1, 2, 3, 77, 4], desk)
    assert found[0] == 10
    assert [type(one) for one in found[1:]] == [StoreUnavailable] * 4
    assert desk.rounds == [[1], [2, 3, 77, 4]]


async def test_who_goes_away_takes_nobody_along() -> None:
    desk, gathering = _Desk(), Gathering[int, int]()
    tasks = [asyncio.create_task(gathering.ask("home", one, desk.do)) for one in (1, 2, 3, 4)]
    while not desk.rounds:
        await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    desk.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in found] == [True, False, True, False]
    assert (found[1], found[3]) == (20, 40)
    assert await gathering.ask("home", 6, desk.do) == 60


async def test_a_crowd_is_divided_and_organisations_stay_apart() -> None:
    desk, gathering = _Desk(), Gathering[int, int]()
    desk.gate.set()
    crowd = range(100, 100 + 3 * TOGETHER)
    found = await asyncio.gather(*(gathering.ask("ab"[one % 2], one, desk.do) for one in crowd))
    assert found == [one * 10 for one in crowd]
    assert max(map(len, desk.rounds)) <= TOGETHER
    assert all(len({one % 2 for one in asked}) == 1 for asked in desk.rounds)


def test_an_idle_desk_holds_nothing() -> None:
    async def ask(gathering: Gathering[int, int]) -> int:
        desk = _Desk()
        desk.gate.set()
        return await gathering.ask("home", 1, desk.do)

    gathering: Gathering[int, int] = Gathering()
    for _ in range(3):  # a loop each: nothing of one is left for the next
        assert asyncio.run(ask(gathering)) == 10
    assert repr(gathering) == repr(Gathering[int, int]())


@pytest.mark.parametrize("count", [1, LANES, LANES + 1])
async def test_a_lane_that_is_done_is_free_at_once(count: int) -> None:
    desk, gathering = _Desk(), Gathering[int, int]()
    desk.gate.set()
    for round_ in range(20):
        numbers = range(100 + round_, 100 + round_ + count)
        assert await asyncio.gather(*(gathering.ask("home", one, desk.do) for one in numbers)) == [
            one * 10 for one in numbers
        ]
