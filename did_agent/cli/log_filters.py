"""What of the log a command is about: the same options at each that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

_FILTERS: Final = (
    ("principal", "--principal", "NAME", "Of this person, or of this agent on its own."),
    ("actor", "--agent", "DID", "In which this agent acts, anywhere in the chain."),
    ("target", "--tool", "NAME", "Calls of this tool, or what was done to this."),
    ("action", "--action", "NOUN.VERB", "Of this kind: tool.call, token.issue."),
    ("reason", "--reason", "CODE", "With this reason."),
    ("request_id", "--request", "ID", "Of this request."),
    ("credential", "--credential", "ID", "With this credential."),
    ("task", "--task", "ID", "Of this task."),
    ("since", "--since", "TIME", "From then on: 2026-01-31T00:00:00Z."),
    ("until", "--until", "TIME", "Before then."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the filters of the log; `question` puts them together again."""
    for name, option, metavar, told in reversed(_FILTERS):
        command = click.option(option, name, metavar=metavar, help=told)(command)
    return click.option("--decision", type=click.Choice(["allow", "deny"]), help="Decided so.")(command)


def question(said: dict[str, str | None]) -> dict[str, str]:
    """Return the parameters of `GET /events` that options say."""
    return {name: value for name, value in said.items() if value is not None}
