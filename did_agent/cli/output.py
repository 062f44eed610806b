"""What commands print: data on stdout, everything else on stderr, and an exit code that says what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import click

from did_agent.client.errors import ServerRefused
from did_agent.errors import DidAgentError, Misconfigured, NotAuthenticated, Unavailable

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
NOT_AUTHENTICATED: Final = 4
_HTTP_UNAUTHORIZED: Final = 401
_MAX_CELL: Final = 72  # characters

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def emit(value: object, *, as_json: bool, text: str | None = None) -> None:
    """Print a value: as JSON, or as the text for people."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False) if as_json or text is None else text)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as an aligned table; what is not there is a dash."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    return grid([[column.upper().replace("_", " ") for column in columns], *cells]) if cells else "nothing"


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells with their columns aligned."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def say(text: str) -> None:
    """Tell people something that is not data."""
    click.echo(text, err=True)


def fail(error: DidAgentError) -> NoReturn:
    """End with the message and exit code of an error."""
    say(f"did-agent: {_sentence(error)}")
    hint = _hint(error)
    if hint:
        say(f"hint: {hint}")
    sys.exit(exit_code(error))


def exit_code(error: DidAgentError) -> int:
    """Return the exit code an error ends with."""
    if isinstance(error, Unavailable):
        return UNREACHABLE
    unauthorized = isinstance(error, ServerRefused) and error.status == _HTTP_UNAUTHORIZED
    return NOT_AUTHENTICATED if unauthorized or isinstance(error, NotAuthenticated) else REFUSED


def _sentence(error: DidAgentError) -> str:
    text = error.detail or error.public
    return text[:1].lower() + text[1:]


def _hint(error: DidAgentError) -> str:
    code = exit_code(error)
    if code == UNREACHABLE:
        return "are the parties running? `did-agent up` starts them, `did-agent doctor` looks"
    if code == NOT_AUTHENTICATED:
        return "the operator key in the data folder is not one this deployment knows; check --data"
    return "`did-agent doctor` checks the set-up" if isinstance(error, Misconfigured) else ""


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"
