"""Templates, and how values read in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import DidAgentError

_FOLDER: Final = Path(__file__).parent.parent / "templates"
_LONG: Final = 26  # characters an identifier is shown with
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def environment() -> Environment:
    """Return the templates; what is missing is an error, and everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(short=short, when=when, ago=ago, segment=segment, query=query)
    return made


def short(text: object) -> Markup:
    """Return an identifier that fits a table, with the whole of it for whoever points at it."""
    whole = "" if text is None else str(text)
    if len(whole) <= _LONG:
        return Markup("<span class=id>{}</span>").format(whole)
    return Markup('<span class=id title="{}">{}…{}</span>').format(whole, whole[:14], whole[-8:])


def when(text: object) -> Markup:
    """Return a time of the wire as people write it, in UTC, with the exact one inside."""
    at = _time(text)
    if at is None:
        return Markup("<span class=none>none</span>")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S"))


def ago(text: object, now: datetime) -> Markup:
    """Return how long ago something was, or in how long it will be."""
    at = _time(text)
    if at is None:
        return Markup("<span class=none>none</span>")
    seconds = int((now - at).total_seconds())
    words = _span(abs(seconds))
    said = f"in {words}" if seconds < 0 else f"{words} ago"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S UTC"), said
    )


def segment(text: object) -> str:
    """Return text as one segment of a path."""
    return quote(str(text), safe="")


def query(values: dict[str, Any], **changed: object) -> str:
    """Return a query of what is not empty."""
    merged = {name: value for name, value in {**values, **changed}.items() if value not in (None, "")}
    return f"?{urlencode(merged)}" if merged else "?"


def _time(text: object) -> datetime | None:
    if isinstance(text, datetime):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        return datetime.fromtimestamp(text, UTC)
    try:
        return parse_timestamp(text) if isinstance(text, str) else None
    except DidAgentError:
        return None


def _span(seconds: int) -> str:
    for unit, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count} {word}" if count == 1 else f"{count} {word}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
