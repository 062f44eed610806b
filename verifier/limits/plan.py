"""From a capability and a call to the charges: one for each ceiling of each account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from did_agent.credential.capability import Capability
from did_agent.credential.limits import Account, Limits
from verifier.limits.costs import BILLION, Cost, Uncountable
from verifier.limits.model import KEPT, SECOND, Charge

MINUTE: Final = 60 * SECOND
BURST_PART: Final = 6  # a rate lets a sixth of a minute's calls, ten seconds' worth, come at once


def charges(
    capability: Capability, tool: str, arguments: Mapping[str, object], costs: Mapping[str, Cost]
) -> tuple[Charge, ...] | Uncountable:
    """Return what a call under a limited capability is charged, in the order in which every store takes it."""
    if not capability.accounts:
        return Uncountable(why="nobody says where its calls are counted")
    found: list[Charge] = []
    for account in capability.accounts:
        if account.limits.max_tokens is not None:
            return Uncountable(why="tokens of a language model are not counted here")
        amount = _amount(account, costs.get(tool), arguments)
        if isinstance(amount, Uncountable):
            return amount
        found += [*_of_calls(account), *amount]
    return tuple(sorted(found, key=lambda charge: (charge.account, charge.kind)))


def burst(rate: int) -> int:
    """Return how many calls a rate lets come at once."""
    return -(-rate // BURST_PART)


def in_words(charge: Charge, limits: Limits) -> str:
    """Return a ceiling in words for people and models."""
    match charge.kind:
        case "once":
            return "a single call ever"
        case "rate":
            return f"{_calls(limits.max_rate or 0)} a minute"
        case "amount":
            return f"{limits.max_amount:f} {limits.currency} in all"
        case "calls":
            every = "in all" if charge.window is None else f"every {limits.window_seconds} seconds"
            return f"{_calls(charge.cap)} {every}"


def units(billionths: int) -> str:
    """Return an amount as people write it."""
    text = f"{Decimal(billionths) / BILLION:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _of_calls(account: Account) -> Iterator[Charge]:
    limits = account.limits
    if limits.max_calls is not None:
        window = None if limits.window_seconds is None else limits.window_seconds * SECOND
        # A window longer than anything lives is none.
        window = None if window is None or window >= KEPT else window
        yield Charge(account=account.id, kind="calls", cap=limits.max_calls, cost=1, window=window)
    if limits.single_use:
        yield Charge(account=account.id, kind="once", cap=1, cost=1)
    if limits.max_rate is not None:
        between = -(-MINUTE // limits.max_rate)
        early = (burst(limits.max_rate) - 1) * between
        yield Charge(account=account.id, kind="rate", cap=early, cost=between)


def _amount(account: Account, cost: Cost | None, arguments: Mapping[str, object]) -> tuple[Charge, ...] | Uncountable:
    limits = account.limits
    if limits.max_amount is None or limits.currency is None:
        return ()
    if cost is None:
        return Uncountable(why="what a call of this tool costs is not known here")
    spent = cost.of(arguments, limits.currency)
    if isinstance(spent, Uncountable):
        return spent
    return (Charge(account=account.id, kind="amount", cap=int(limits.max_amount * BILLION), cost=spent),)
