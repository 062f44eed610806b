"""The options that say how much a credential may spend."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from did_agent.cli.limits import limit_options, read_limits
from did_agent.credential.limits import parse_limits


@click.command()
@limit_options
def command(**options: Any) -> None:
    click.echo(parse_limits(limits).to_json() if (limits := read_limits(options).get("limits")) else "none")


SAID = [
    ((), "none"),
    (("--max-calls", "5"), {"maxCalls": 5}),
    (("--max-calls", "0"), {"maxCalls": 0}),
    (("--max-calls", "5", "--window", "60"), {"maxCalls": 5, "windowSeconds": 60}),
    (("--max-rate", "30", "--single-use"), {"maxRate": 30, "singleUse": True}),
    (("--max-amount", "50.00", "--currency", "EUR"), {"maxAmount": "50.00", "currency": "EUR"}),
]


@pytest.mark.parametrize(("options", "expected"), SAID)
def test_options_become_limits(options: tuple[str, ...], expected: object) -> None:
    done = CliRunner().invoke(command, options)
    assert (done.exit_code, done.stdout) == (0, f"{expected}\n")


@pytest.mark.parametrize(
    "options",
    [("--window", "60"), ("--max-amount", "5"), ("--currency", "EUR"), ("--max-rate", "0"), ("--max-calls", "-1")],
)
def test_options_that_say_half_are_refused(options: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 2
    assert "--" in done.stderr
