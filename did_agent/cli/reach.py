"""How far a change reaches, shown before it is made, and the question whether it shall be."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from did_agent.cli.output import say

NAMED: Final = 8  # tools in one line

dry_run_option: Final = click.option("--dry-run", is_flag=True, help="Show how far it reaches, and change nothing.")
yes_option: Final = click.option("--yes", is_flag=True, help="Do not ask.")


def told(impact: dict[str, Any]) -> str:
    """Return how far a change reaches, in words."""
    tools = impact["tools"]
    named = ", ".join(tools[:NAMED]) + (f" and {len(tools) - NAMED} more" if len(tools) > NAMED else "")
    some = " (of the newest credentials)" if impact["partial"] else ""
    counts = [f"{impact['credentials']} credentials", f"{impact['children']} delegated from them"]
    if impact["agents"]:
        counts.insert(0, f"{impact['agents']} agents")
    return f"reaches {', '.join(counts)}; tools that end: {named or 'none'}{some}"


def confirm(impact: dict[str, Any], *, what: str, yes: bool, always: bool = False) -> None:
    """Show how far a change reaches and ask, unless told not to; a change in a pipe is asked for by --yes `always`.

    Raises: click.Abort, click.UsageError.
    """
    say(f"{what} {told(impact)}")
    if yes:
        return
    if sys.stdin.isatty():
        click.confirm(f"{what}: go on?", abort=True, err=True)
    elif always:
        raise click.UsageError("nobody is here to ask; --yes says that it is meant")
