"""What a call of a tool costs: the owner of the resource says where its arguments tell it, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from did_agent.credential import closed
from did_agent.credential.limits import is_currency, parse_amount
from did_agent.errors import Malformed, Misconfigured

BILLION: Final = 10**9  # parts of a currency's unit that are counted
MAX_COSTS: Final = 1_000  # tools with a cost
MAX_DECIMALS: Final = 9
_MAX_AMOUNT: Final = 10**15  # units; below it every store counts exactly

_MEMBERS: Final = frozenset({"argument", "amount", "currency", "currency_argument", "decimals"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncountable:
    """A call whose cost cannot be told, so that no ceiling could be kept."""

    why: str  # half a sentence for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Where the cost of one tool's calls stands.

    `Cost(argument="total", currency="EUR")` reads it from an argument, a decimal string or a whole number;
    `decimals=2` says that this counts hundredths.  `amount` is the same for every call.  `currency_argument` names the
    argument that holds the currency.  Raises: Misconfigured.
    """

    argument: str | None = None
    amount: Decimal | str | None = None
    currency: str | None = None
    currency_argument: str | None = None
    decimals: int = 0

    def __post_init__(self) -> None:
        """Refuse what says too little or too much."""
        if (self.argument is None) == (self.amount is None):
            raise Misconfigured("a cost has either an argument or an amount")
        if (self.currency is None) == (self.currency_argument is None):
            raise Misconfigured("a cost has either a currency or an argument that holds it")
        if self.currency is not None and not is_currency(self.currency):
            raise Misconfigured("a currency is three capital letters, as in ISO 4217")
        if not 0 <= self.decimals <= MAX_DECIMALS or (self.amount is not None and _plain(self.amount) is None):
            raise Misconfigured(f"an amount is a plain decimal, and decimals are 0 to {MAX_DECIMALS}")

    def of(self, arguments: Mapping[str, object], currency: str) -> int | Uncountable:
        """Return the billionths of `currency` that a call with these arguments costs."""
        said = self.currency if self.currency_argument is None else arguments.get(self.currency_argument)
        if said != currency:
            return Uncountable(why=f"the limit is in {currency} and the call is not")
        source = self.amount if self.argument is None else arguments.get(self.argument)
        amount = _plain(source)
        billionths = None if amount is None else amount * 10 ** (MAX_DECIMALS - self.decimals)
        if billionths is None or billionths != int(billionths):
            where = "its cost" if self.argument is None else f"the argument {self.argument}"
            return Uncountable(why=f"{where} is no amount: a decimal string or a whole number is needed")
        return int(billionths)


def parse_costs(value: object) -> dict[str, Cost]:
    """Return the costs that a JSON object states, by tool.

    Raises: Misconfigured.
    """
    if not isinstance(value, dict) or len(value) > MAX_COSTS:
        raise Misconfigured(f"costs are an object of at most {MAX_COSTS} tools")
    found = {}
    for tool, entry in value.items():
        try:
            given = closed.members(entry, f"the cost of {tool[:100]}", required=frozenset(), optional=_MEMBERS)
            decimals = closed.whole(given.get("decimals", 0), "decimals", least=0, most=MAX_DECIMALS)
            texts = {name: closed.text(given[name], name) for name in given if name != "decimals"}
        except Malformed as error:
            raise Misconfigured(error.detail) from error
        found[tool] = Cost(**texts, decimals=decimals)
    return found


def _plain(value: object) -> Decimal | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value) if 0 <= value < _MAX_AMOUNT else None
    return parse_amount(f"{value:f}" if isinstance(value, Decimal) else value)
