"""`did-agent audit erase`: end what the log says of a person, or of the months before one."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option
from did_agent.cli.reach import yes_option


@click.command()
@click.argument("person", required=False)
@click.option("--before", metavar="MONTH", help="Of the months before this one alone: 2026-01.")
@yes_option
@json_option
@click.pass_obj
def erase(at: Deployment, /, *, person: str | None, before: str | None, yes: bool, as_json: bool) -> None:
    """End the personal fields of PERSON, or with --before alone those of everybody; every proof holds as before."""
    if person is None and before is None:
        raise click.UsageError("say whom, or --before a month")
    what = f"{person or 'everybody'}{f' before {before}' if before else ''}"
    if not yes:
        click.confirm(f"Nothing brings it back. Erase what the log says of {what}?", abort=True, err=True)
    asked: dict[str, Any] = {"person": person, "before": before}
    erased = asyncio.run(at.ledger.erase(**{name: value for name, value in asked.items() if value is not None}))
    keys, rows = erased["keys"], erased["rows"]
    text = f"erased: {keys} keys, {rows} rows stand without a name" if keys else f"nothing of {what} was sealed"
    emit(erased, as_json=as_json, text=text)
