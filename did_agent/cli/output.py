"""What commands print: data on stdout, everything else on stderr, and an exit code that says what to do."""

from __future__ import annotations

import json
import sys
import unicodedata
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
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# By stable code; families have theirs in `_hint`.
_HINTS: Final[Mapping[str, str]] = {
    "not_found": "`did-agent agent list`, `did-agent cred list` and `did-agent client list` show what there is",
    "chain_broken": "a delegated credential is checked with the chain above it: a JSON list of all of them",
    "issuer_not_trusted": "trust.json in the data folder says whom this machine trusts; check --data",
    "wrong_audience": "--audience must be exactly whom the presentation is addressed to",
    "log_inconsistent": "the file is not what the ledger signed, or --key and --origin name another ledger",
}
# By the code that a party answered with.
_ANSWERED: Final[Mapping[str, str]] = {
    "not_found": "`did-agent … list` shows what there is; `did-agent doctor` tells whether the URLs are right",
    "wrong_host": "parties answer to their exact URL alone; check DID_AGENT_BRIDGE_URL and the others",
    "invalid_target": "`did-agent resource list` shows the identifiers, which are compared exactly",
    "invalid_scope": "`did-agent cred list` shows what agents hold, `did-agent resource list` what there is to ask for",
    "unauthorized_client": "what a client may do depends on who it is: try as the agent that the token was given to",
}

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def emit(value: object, *, as_json: bool, text: str | None = None) -> None:
    """Print a value: as JSON, or as the text for people."""
    click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False) if as_json or text is None else text, "\n"))


def printable(text: str, keep: str = "") -> str:
    """Return text with what a terminal obeys instead of showing written as JSON escapes, so JSON stays JSON.

    Tool names and reasons come from callers: raw, they could redraw the screen or add a line that reads as a row.
    """
    shown = (char in keep or unicodedata.category(char) not in _UNSEEN for char in text)
    return "".join(char if seen else json.dumps(char)[1:-1] for char, seen in zip(text, shown, strict=True))


def clip(text: str, limit: int = _MAX_CELL) -> str:
    """Return text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as an aligned table; what is not there is a dash."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    return grid([[column.upper().replace("_", " ") for column in columns], *cells]) if cells else "nothing"


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of printable cells with their columns aligned."""
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def say(text: str) -> None:
    """Tell people something that is not data."""
    click.echo(printable(text), err=True)


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
        return "the bridge does not accept this key: check --data, and that the agent is active"
    if isinstance(error, Misconfigured):
        return "`did-agent doctor` checks the set-up"
    return _ANSWERED.get(error.server_code, "") if isinstance(error, ServerRefused) else _HINTS.get(error.code, "")


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return clip(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
