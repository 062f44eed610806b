"""What a call is charged, what it costs, and how one ceiling is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.model.refresh import FAMILY_LIFE
from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.chain import MAX_LIFETIME
from did_agent.credential.limits import Account, parse_limits
from did_agent.errors import Misconfigured
from issuer.model.grants import MAX_RENEWABLE
from verifier.adapters.limits import load_costs, open_limits
from verifier.limits.costs import BILLION, Cost, Uncountable, parse_costs
from verifier.limits.counting import count
from verifier.limits.model import KEPT, SECOND, Charge, Count
from verifier.limits.plan import burst, charges, in_words, units

NOW = 1_795_435_200 * SECOND
EUR = {"order": Cost(argument="total", currency="EUR")}


def limited(*accounts: dict[str, Any]) -> Capability:
    """Return a capability with these limits, its own first."""
    held = parse_bare_capability(
        {"resource": ["https://mcp.example/mcp"], "tools": {"order": {}}, "limits": accounts[0]}
    )
    named = (Account(id=f"account{n}#0", limits=parse_limits(one)) for n, one in enumerate(accounts))
    return replace(held, accounts=tuple(named))


def test_a_call_is_charged_to_every_ceiling_of_every_account_in_one_order() -> None:
    own = {"maxCalls": 3, "singleUse": True, "maxRate": 60, "maxAmount": "9.50", "currency": "EUR"}
    found = charges(limited(own, {"maxCalls": 5, "windowSeconds": 60}), "order", {"total": "1.25"}, EUR)
    assert found == (
        Charge(account="account0#0", kind="amount", cap=9_500_000_000, cost=1_250_000_000),
        Charge(account="account0#0", kind="calls", cap=3, cost=1),
        Charge(account="account0#0", kind="once", cap=1, cost=1),
        Charge(account="account0#0", kind="rate", cap=9 * SECOND, cost=SECOND),
        Charge(account="account1#0", kind="calls", cap=5, cost=1, window=60 * SECOND),
    )


def test_a_window_longer_than_anything_lives_is_none() -> None:
    for seconds, expected in ((KEPT // SECOND - 1, KEPT - SECOND), (KEPT // SECOND, None), (2**53 - 1, None)):
        (charge,) = charges(limited({"maxCalls": 1, "windowSeconds": seconds}), "order", {}, {})  # type: ignore[misc]
        assert charge.window == expected


def test_counts_are_kept_longer_than_what_they_count_for_lives() -> None:
    kept = timedelta(microseconds=KEPT)
    assert kept > MAX_LIFETIME
    assert kept > FAMILY_LIFE
    assert kept > timedelta(seconds=MAX_RENEWABLE)
    assert Charge(account="a", kind="calls", cap=1, cost=1).kept > KEPT
    assert Charge(account="a", kind="calls", cap=1, cost=1, window=5 * SECOND).kept > 5 * SECOND


UNCOUNTABLE = [
    ({"maxTokens": 5}, {}, EUR, "tokens of a language model"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": "1"}, {}, "is not known here"),
    ({"maxAmount": "9", "currency": "USD"}, {"total": "1"}, EUR, "the limit is in USD"),
    ({"maxAmount": "9", "currency": "EUR"}, {}, EUR, "the argument total is no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": 1.5}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": True}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": -1}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": "-1"}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": "1e3"}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": 10**15}, EUR, "no amount"),
    ({"maxAmount": "9", "currency": "EUR"}, {"total": "0.0000000001"}, EUR, "no amount"),
    (
        {"maxAmount": "9", "currency": "EUR"},
        {"total": 1, "in": "USD"},
        {"order": Cost(argument="total", currency_argument="in")},
        "the call is not",
    ),
    (
        {"maxAmount": "9", "currency": "EUR"},
        {"total": "0.00000001"},
        {"order": Cost(argument="total", currency="EUR", decimals=2)},
        "no amount",
    ),
]


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize(("limits", "arguments", "costs", "why"), UNCOUNTABLE)
def test_a_cost_that_cannot_be_told_exactly_is_none(
    limits: dict[str, Any], arguments: dict[str, Any], costs: dict[str, Cost], why: str
) -> None:
    found = charges(limited({"maxCalls": 9}, limits), "order", arguments, costs)
    assert isinstance(found, Uncountable)
    assert why in found.why
    assert isinstance(charges(limited({"maxCalls": 9}), "order", arguments, costs), tuple)


def test_limits_that_nobody_says_where_to_count_are_not_counted() -> None:
    found = charges(replace(limited({"maxCalls": 9}), accounts=()), "order", {}, {})
    assert isinstance(found, Uncountable)


COSTS = [
    (Cost(argument="total", currency="EUR"), {"total": "12.50"}, 12_500_000_000),
    (Cost(argument="total", currency="EUR"), {"total": 12}, 12 * BILLION),
    (Cost(argument="total", currency="EUR"), {"total": 0}, 0),
    (Cost(argument="cents", currency="EUR", decimals=2), {"cents": 1250}, 12_500_000_000),
    (Cost(amount="0.10", currency="EUR"), {}, 100_000_000),
    (Cost(amount=Decimal("0.000000001"), currency="EUR"), {}, 1),
    (Cost(argument="total", currency_argument="in"), {"total": "1", "in": "EUR"}, BILLION),
]


@pytest.mark.parametrize(("cost", "arguments", "expected"), COSTS)
def test_costs_are_exact(cost: Cost, arguments: dict[str, Any], expected: int) -> None:
    assert cost.of(arguments, "EUR") == expected


BAD_COSTS: list[Any] = [
    [],
    {"order": {}},
    {"order": {"argument": "total"}},
    {"order": {"argument": "total", "amount": "1", "currency": "EUR"}},
    {"order": {"argument": "total", "currency": "EUR", "currency_argument": "in"}},
    {"order": {"argument": "total", "currency": "euro"}},
    {"order": {"argument": "total", "currency": "EUR", "decimals": 10}},
    {"order": {"argument": "total", "currency": "EUR", "decimals": True}},
    {"order": {"amount": 1.5, "currency": "EUR"}},
    {"order": {"amount": "1e3", "currency": "EUR"}},
    {"order": {"argument": "total", "currency": "EUR", "more": 1}},
    {f"t{n}": {"argument": "total", "currency": "EUR"} for n in range(1_001)},
]


@pytest.mark.parametrize("value", BAD_COSTS, ids=[str(value)[:50] for value in BAD_COSTS])
def test_costs_that_say_too_little_or_too_much_are_refused(value: Any) -> None:
    with pytest.raises(Misconfigured):
        parse_costs(value)
    assert parse_costs({"order": {"argument": "total", "currency": "EUR"}}) == EUR


def test_costs_and_the_store_come_from_settings(tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text('{"order": {"argument": "total", "currency": "EUR"}}')
    (tmp_path / "twice.json").write_text('{"order": {}, "order": {}}')
    assert load_costs(tmp_path / "costs.json") == EUR
    assert load_costs(None) == {}
    for bad in ("twice.json", "none.json"):
        with pytest.raises(Misconfigured):
            load_costs(tmp_path / bad)
    for url in ("sqlite:///", "mysql://host/db", "limits.db", ""):
        with pytest.raises(Misconfigured):
            open_limits(url, default=tmp_path / "guard.db")


def test_a_rate_lets_a_burst_through_and_then_keeps_its_pace() -> None:
    assert [burst(rate) for rate in (1, 6, 7, 60)] == [1, 1, 2, 10]
    (rate,) = charges(limited({"maxRate": 60}), "order", {}, {})  # type: ignore[misc]
    standing: Count | None = None
    for _ in range(10):
        verdict = count(standing, rate, NOW)
        assert verdict.allowed
        standing = verdict.after
    refused = count(standing, rate, NOW)
    assert (refused.allowed, refused.wait) == (False, SECOND)
    assert not count(standing, rate, NOW + SECOND - 1).allowed
    assert count(standing, rate, NOW + SECOND).allowed


def test_ceilings_are_told_in_words() -> None:
    everything = {"maxCalls": 3, "windowSeconds": 60, "singleUse": True, "maxRate": 6, "maxAmount": "9.50", "currency": "EUR"}  # fmt: skip
    held = limited(everything)
    found = charges(held, "order", {"total": 1}, EUR)
    assert isinstance(found, tuple)
    assert [in_words(one, held.accounts[0].limits) for one in found] == [
        "9.50 EUR in all",
        "3 calls every 60 seconds",
        "a single call ever",
        "6 calls a minute",
    ]
    assert in_words(replace(found[1], window=None), held.accounts[0].limits) == "3 calls in all"
    assert [units(n) for n in (0, 1, BILLION, 1_250_000_000, 10 * BILLION)] == ["0", "0.000000001", "1", "1.25", "10"]
