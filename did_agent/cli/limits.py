"""The options by which a command says how much a credential may spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

_OPTIONS: Final = (
    click.option("--max-calls", type=click.IntRange(0), help="How many calls it is good for: in all, or per window."),
    click.option("--window", "window_seconds", type=click.IntRange(1), help="Seconds that --max-calls are for."),
    click.option("--max-rate", type=click.IntRange(1, 60_000), help="How many calls a minute it is good for."),
    click.option("--single-use", is_flag=True, help="It is good for one call ever."),
    click.option("--max-amount", help="How much its calls may cost in all, such as 50.00; needs --currency."),
    click.option("--currency", help="Of --max-amount, such as EUR."),
)
_MEMBERS: Final = {
    "max_calls": "maxCalls",
    "window_seconds": "windowSeconds",
    "max_rate": "maxRate",
    "single_use": "singleUse",
    "max_amount": "maxAmount",
    "currency": "currency",
}


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_limits(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `limits` member that the options say; none when they say nothing."""
    if options.get("window_seconds") is not None and options.get("max_calls") is None:
        raise click.UsageError("--window is the time that --max-calls are for")
    if (options.get("max_amount") is None) != (options.get("currency") is None):
        raise click.UsageError("--max-amount and --currency come together")
    said = {_MEMBERS[name]: value for name, value in options.items() if value is not None and value is not False}
    return {"limits": said} if said else {}
