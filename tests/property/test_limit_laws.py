"""Laws of spending: whatever the order of calls, no account gives more than its ceiling, no child more than its parent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.limits import Account, Limits, parse_limits
from verifier.adapters.limits_sqlite import SQLiteLimits
from verifier.limits.costs import BILLION, Cost
from verifier.limits.counting import count
from verifier.limits.model import SECOND, Charge, Count, Spent
from verifier.limits.plan import burst, charges

NOW = 1_795_435_200 * SECOND
COSTS = {"order": Cost(argument="total", currency="EUR")}
small = st.integers(min_value=1, max_value=8)
seconds = st.integers(min_value=1, max_value=30)

calls = st.one_of(
    st.builds(lambda n: {"maxCalls": n}, small),
    st.builds(lambda n, span: {"maxCalls": n, "windowSeconds": span}, small, seconds),
)
rates = st.builds(lambda n: {"maxRate": n}, st.integers(min_value=1, max_value=60))
amounts = st.builds(lambda n: {"maxAmount": f"{n}.25", "currency": "EUR"}, small)
once = st.just({"singleUse": True})
limit_sets = st.lists(st.one_of(calls, rates, amounts, once), min_size=1, max_size=3).map(
    lambda parts: parse_limits(
        parts[0] | {k: v for part in parts[1:] for k, v in part.items() if k not in _calls(parts[0])}
    )
)


def _calls(first: dict[str, Any]) -> set[str]:
    return {"maxCalls", "windowSeconds"} if "maxCalls" in first else set()


def capability(*accounts: tuple[str, Limits]) -> Capability:
    held = parse_bare_capability({"resource": ["https://a.example"], "tools": {"order": {}}, "limits": {"maxCalls": 1}})
    return replace(
        held, limits=accounts[0][1], accounts=tuple(Account(id=name, limits=limits) for name, limits in accounts)
    )


def plan(held: Capability, total: str) -> tuple[Charge, ...]:
    found = charges(held, "order", {"total": total}, COSTS)
    assert isinstance(found, tuple)
    return found


@pytest.mark.req("DEL-05")
@settings(max_examples=150, deadline=None)
@given(
    limit_sets,
    st.lists(limit_sets, min_size=2, max_size=3),
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from([0, 1, 5, 40]), st.sampled_from(["0.25", "1", "3"]), st.booleans()
        ),
        min_size=5,
        max_size=30,
    ),
)
def test_children_together_never_exceed_their_parent(
    parent: Limits, children: list[Limits], story: list[tuple[int, int, str, bool]]
) -> None:
    within = [child.inheriting(parent) for child in children]
    assume(all(child.within(parent) for child in within))
    held = [capability((f"child{n}", child), ("parent", parent)) for n, child in enumerate(within)]
    alone = capability(("parent", parent))

    async def tell() -> list[tuple[int, int, str]]:
        store, admitted, now = SQLiteLimits(":memory:"), [], NOW
        for number, (who, pause, total, gives_back) in enumerate(story):
            now += pause * SECOND
            child = who % len(held)
            outcome = await store.spend(plan(held[child], total), now, str(number))
            if isinstance(outcome, Spent) and gives_back:
                await store.refund(outcome)
            elif isinstance(outcome, Spent):
                admitted.append((child, now, total))
        await store.close()
        return admitted

    async def replay(one: Capability, calls: list[tuple[int, int, str]]) -> bool:
        store = SQLiteLimits(":memory:")
        try:
            return all(
                [
                    isinstance(await store.spend(plan(one, total), now, str(n)), Spent)
                    for n, (_, now, total) in enumerate(calls)
                ]
            )
        finally:
            await store.close()

    admitted = asyncio.run(tell())
    event(f"admitted: {len(admitted) * 4 // len(story)}/4")
    for limits, made in (
        (parent, admitted),
        *((within[n], [one for one in admitted if one[0] == n]) for n in range(len(within))),
    ):
        if limits.max_calls is not None and limits.window_seconds is None:
            assert len(made) <= limits.max_calls
        if limits.single_use:
            assert len(made) <= 1
        if limits.max_amount is not None:
            assert sum(Decimal(total) for _, _, total in made) <= limits.max_amount
        if limits.max_rate is not None:
            spans = [(start, end) for _, start, _ in made for _, end, _ in made if end >= start]
            for start, end in spans:
                inside = sum(start <= now <= end for _, now, _ in made)
                assert inside <= burst(limits.max_rate) + (end - start) * limits.max_rate // (60 * SECOND) + 1
    if not any(gives_back for *_, gives_back in story):
        # The parent itself, making the calls that its children were allowed, is allowed them all.
        assert asyncio.run(replay(alone, admitted))


@settings(max_examples=200, deadline=None)
@given(st.one_of(calls, rates, once), st.one_of(calls, rates, once), st.integers(1, 3))
def test_a_child_alone_admits_no_more_than_its_parent_alone(
    wide: dict[str, Any], narrow: dict[str, Any], step: int
) -> None:
    parent, child = parse_limits(wide), parse_limits(narrow)
    assume(child.within(parent))
    made = [_saturated(limits, step) for limits in (parent, child)]
    event(f"fewer: {made[0] != made[1]}")
    assert all(less <= more for more, less in zip(*made, strict=True))


def _saturated(limits: Limits, step: int) -> list[int]:
    """Return how many calls were admitted up to each moment, when one is tried every `step` seconds."""
    found, total, counts = [], 0, dict[str, Count]()
    for moment in range(0, 150, step):
        planned = plan(capability(("a", limits)), "1")
        verdicts = [count(counts.get(one.kind), one, NOW + moment * SECOND) for one in planned]
        if all(verdict.allowed for verdict in verdicts):
            counts = {one.kind: verdict.after for one, verdict in zip(planned, verdicts, strict=True)}
            total += 1
        found.append(total)
    return found


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**15 - 1), st.integers(0, 10**9 - 1), st.integers(0, 9))
def test_an_amount_is_counted_to_the_last_digit(whole: int, parts: int, decimals: int) -> None:
    assert Cost(argument="total", currency="EUR").of({"total": f"{whole}.{parts:09}"}, "EUR") == whole * BILLION + parts
    hundredths = Cost(argument="total", currency="EUR", decimals=decimals).of({"total": whole}, "EUR")
    assert hundredths == Decimal(whole).scaleb(9 - decimals)
