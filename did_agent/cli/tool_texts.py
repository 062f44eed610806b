"""Tools as text for an operator: in full, with nothing hidden, and exactly what is different."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Final

from did_agent.cli.visible import oddities, visible
from did_agent.policy.tool_review import Review
from did_agent.tokens.tool_pins import PINNED, Definition

_HEADS: Final = ("---", "+++", "@@ ")  # lines of a difference that say where it is


def shown(reviews: Sequence[Review]) -> Iterator[str]:
    """Yield each tool in full, with all that is hidden in it, and what is different."""
    for one in reviews:
        yield f"{visible(one.name)} ({one.state})"
        if one.now is None:
            yield "  the server does not list it any more"
            continue
        if one.says_it_reads:
            yield "  the server says that it only reads; --reads says so too"
        for member in PINNED[1:]:
            lines = lines_of(one.now, member)
            if lines:
                yield f"  {member}"
                yield from (f"    | {line}" for line in lines)
        yield from (f"  beware: {words}" for words in beware(one.now))
        if one.pin is not None:
            yield "  what is different (- approved, + now)"
            yield from (f"    {line}" for line in _difference(one.pin.definition, one.now))


def _difference(before: Definition, now: Definition) -> Iterator[str]:
    for member in PINNED:
        old, new = lines_of(before, member), lines_of(now, member)
        if old != new:
            yield f"  {member}"
            yield from (line for line in difflib.unified_diff(old, new, n=2, lineterm="") if line[:3] not in _HEADS)


def lines_of(definition: Definition, member: str) -> list[str]:
    """Return one member of a definition, line by line, with nothing hidden."""
    value = definition.get(member)
    return [] if value is None else [visible(line) for line in _text(value).split("\n")]


def beware(definition: Definition) -> list[str]:
    """Return what a reader of the definition should know that its look does not tell."""
    return [
        f"{member} holds {words}"
        for member in PINNED
        if member in definition
        for words in oddities(_text(definition[member]))
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
