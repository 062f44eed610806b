"""Ceilings on the use of a capability, and the accounts its calls are charged to.

A ceiling is enforced by a counter, never by this value alone.  A call is charged to the entry that grants it and to the
entry of every credential above it: handing on twice doubles no budget.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from did_agent.credential import closed
from did_agent.credential.constraint import MAX_SAFE_INTEGER
from did_agent.errors import BadCredential

MAX_RATE: Final = 60_000  # calls a minute; faster than that is no limit
MAX_ACCOUNTS: Final = 16  # accounts of one capability: the links of its chain, and what was asked for in detail
MAX_ACCOUNT_ID: Final = 128  # characters

# An amount is counted in billionths; its whole part stays exact in every number that a store may use.
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MEMBERS: Final = frozenset({"maxCalls", "windowSeconds", "maxRate", "singleUse", "maxAmount", "currency", "maxTokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings on use; at least one of them is there."""

    max_calls: int | None = None
    window_seconds: int | None = None  # of max_calls; without it they count over the credential's whole life
    max_rate: int | None = None  # calls a minute
    single_use: bool = False  # one call ever
    max_amount: Decimal | None = None  # over the credential's whole life
    currency: str | None = None  # ISO 4217, present exactly with max_amount
    max_tokens: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the `limits` member."""
        everything = {
            "maxCalls": self.max_calls,
            "windowSeconds": self.window_seconds,
            "maxRate": self.max_rate,
            "singleUse": self.single_use or None,
            "maxAmount": None if self.max_amount is None else f"{self.max_amount:f}",
            "currency": self.currency,
            "maxTokens": self.max_tokens,
        }
        return {name: value for name, value in everything.items() if value is not None}

    def within(self, parent: Limits) -> bool:
        """Tell whether each ceiling of `parent` is also here and not higher."""
        mine = self._calls()
        calls = all(any(n <= most and span >= window for n, span in mine) for most, window in parent._calls())
        amount = parent.max_amount is None or (
            self.max_amount is not None and self.currency == parent.currency and self.max_amount <= parent.max_amount
        )
        return (
            calls
            and amount
            and _is_below(self.max_rate, parent.max_rate)
            and _is_below(self.max_tokens, parent.max_tokens)
        )

    def inheriting(self, parent: Limits) -> Limits:
        """Return these limits with those of `parent` where there is none here: an absent limit is never "everything".

        What is here and higher than there stays, and is not `within` it.
        """
        found = replace(self, single_use=self.single_use or parent.single_use)
        if found.max_calls is None:
            found = replace(found, max_calls=parent.max_calls, window_seconds=parent.window_seconds)
        if found.max_amount is None:
            found = replace(found, max_amount=parent.max_amount, currency=parent.currency)
        return replace(
            found,
            max_rate=_or(found.max_rate, parent.max_rate),
            max_tokens=_or(found.max_tokens, parent.max_tokens),
        )

    def _calls(self) -> list[tuple[int, float]]:
        """Return each ceiling on calls with the seconds it is for."""
        counted = [] if self.max_calls is None else [(self.max_calls, float(self.window_seconds or math.inf))]
        return [*counted, (1, math.inf)] if self.single_use else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where calls are counted against the limits of one credential's entry, or of a request's details."""

    id: str
    limits: Limits
    holder: str | None = None  # DID of the agent whose credential it is; None for details

    def to_json(self) -> dict[str, object]:
        """Return the entry of a token's `charged` member."""
        holder = {} if self.holder is None else {"holder": self.holder}
        return {"account": self.id, **holder, "limits": self.limits.to_json()}


def parse_limits(value: object) -> Limits:
    """Return the limits that a `limits` member describes (closed schema).

    Raises: BadCredential.
    """
    limits = closed.members(value, "limits", required=frozenset(), optional=_MEMBERS)
    if not limits or ("windowSeconds" in limits and "maxCalls" not in limits):
        raise BadCredential("limits are empty, or windowSeconds stands without maxCalls")
    if ("maxAmount" in limits) != ("currency" in limits):
        raise BadCredential("maxAmount and currency are not together")
    if limits.get("singleUse", True) is not True:
        raise BadCredential("singleUse is true or absent")
    amount = _matching(limits, "maxAmount", _AMOUNT)
    return Limits(
        max_calls=_ceiling(limits, "maxCalls", least=0),
        window_seconds=_ceiling(limits, "windowSeconds", least=1),
        max_rate=_ceiling(limits, "maxRate", least=1, most=MAX_RATE),
        single_use="singleUse" in limits,
        max_amount=None if amount is None else Decimal(amount),
        currency=_matching(limits, "currency", _CURRENCY),
        max_tokens=_ceiling(limits, "maxTokens", least=0),
    )


def parse_accounts(value: object) -> tuple[Account, ...]:
    """Return the accounts that the `charged` member of a token names.

    Raises: BadCredential.
    """
    entries = closed.array(value, "charged", least=1, most=MAX_ACCOUNTS)
    return tuple(_parse_account(entry) for entry in entries)


def parse_amount(text: object) -> Decimal | None:
    """Return the amount that a decimal string names, or None when it is none."""
    return Decimal(text) if isinstance(text, str) and _AMOUNT.fullmatch(text) else None


def is_currency(text: object) -> bool:
    """Tell whether `text` has the form of a currency's code (ISO 4217)."""
    return isinstance(text, str) and _CURRENCY.fullmatch(text) is not None


def _parse_account(value: object) -> Account:
    names = frozenset({"account", "limits"})
    entry = closed.members(value, "charged account", required=names, optional=frozenset({"holder"}))
    name = closed.text(entry["account"], "charged account", max_chars=MAX_ACCOUNT_ID)
    holder = closed.uri(entry["holder"], "holder") if "holder" in entry else None
    return Account(id=name, limits=parse_limits(entry["limits"]), holder=holder)


def _is_below(mine: int | None, ceiling: int | None) -> bool:
    return ceiling is None or (mine is not None and mine <= ceiling)


def _or(mine: int | None, other: int | None) -> int | None:
    return other if mine is None else mine


def _ceiling(limits: Mapping[str, object], name: str, *, least: int, most: int = MAX_SAFE_INTEGER) -> int | None:
    if name not in limits:
        return None
    return closed.whole(limits[name], name, least=least, most=most)


def _matching(limits: Mapping[str, object], name: str, form: re.Pattern[str]) -> str | None:
    if name not in limits:
        return None
    value = limits[name]
    if not isinstance(value, str) or not form.fullmatch(value):
        raise BadCredential(f"{name} is not in its form")
    return value
