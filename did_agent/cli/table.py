"""The audit table: when, who, through which agents, did what, on what, with which decision, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from did_agent.cli.output import clip, grid
from did_agent.policy.decide import short_did

COLUMNS: Final = ("WHEN", "WHO", "THROUGH", "DID", "ON", "DECISION", "WHY")
_MAX_WHY: Final = 78  # characters


def audit_table(events: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Return events as a table, agents by name where `names` knows their DID."""
    return grid([COLUMNS, *audit_rows(events, names)])


def audit_rows(events: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[Sequence[str]]:
    """Return the cells of each event in the order of `COLUMNS`, not yet made printable: `grid` does that."""
    return [_row(event, names) for event in events]


def _row(event: Mapping[str, Any], names: Mapping[str, str]) -> Sequence[str]:
    why = event["explanation"] if event["decision"] == "deny" else event["reason"]
    return (
        event["time"][:19].replace("T", " "),
        _name(event["principal"], names),
        " ◂ ".join(_name(actor, names) for actor in event["actors"]) or "-",
        event["action"] if event["action"] != "tool.call" else clip(f"call {event['target']}"),
        _place(event),
        event["decision"],
        clip(why, _MAX_WHY),
    )


def _name(identifier: str | None, names: Mapping[str, str]) -> str:
    return "-" if identifier is None else names.get(identifier) or short_did(identifier)


def _place(event: Mapping[str, Any]) -> str:
    place = event["resource"] if event["action"] == "tool.call" else event["target"] or event["resource"]
    return "-" if place is None else str(place).removeprefix("http://").removeprefix("https://")[-40:]
