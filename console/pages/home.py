"""Home: how everything is, what was decided in the last day, what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from console.drawing.bars import Bar, bars
from console.model import PARTIES
from console.web.visit import Answer, Page, Route, Trouble, Visit, rows_of
from did_agent.clock import format_milliseconds
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import DidAgentError

DAY: Final = timedelta(hours=24)
SOON: Final = timedelta(days=7)
_HOUR: Final = timedelta(hours=1)


async def index(visit: Visit) -> Answer:
    """Show it all on one page; what cannot be had says so in its own place."""
    until = visit.now.replace(minute=0, second=0, microsecond=0) + _HOUR
    since = until - DAY
    health = await visit.parts(*(visit.part(party, "/readyz") for party in PARTIES))
    usage, newest, credentials, waiting, switches = await visit.parts(
        visit.part("ledger", "/usage", since=format_milliseconds(since), until=format_milliseconds(until)),
        visit.part("ledger", "/events", newest="true", limit=8),
        visit.part("issuer", "/credentials", state="active", limit=100),
        visit.part("issuer", "/requests", state="pending", limit=20),
        visit.part("issuer", "/kill-switches"),
    )
    hours = rows_of(usage, "hours")
    allowed, refused = (sum(int(one.get(word, 0)) for one in hours) for word in ("allow", "deny"))
    return Page(
        template="home.html",
        values={
            "health": [(party, *_health(found)) for party, found in zip(PARTIES, health, strict=True)],
            "usage": usage,
            "picture": day(hours, since, title=f"{allowed} decisions allowed and {refused} refused in 24 hours"),
            "allowed": allowed,
            "refused": refused,
            "refusals": rows_of(usage, "refusals")[:6],
            "newest": newest,
            "rows": rows_of(newest, "events")[::-1],
            "expiring": _expiring(rows_of(credentials, "credentials"), visit.now),
            "waiting": rows_of(waiting, "requests"),
            "switches": [one for one in rows_of(switches, "switches") if not one.get("lifted")],
        },
    )


def day(hours: list[dict[str, Any]], since: datetime, *, title: str) -> str:
    """Return the bars of 24 hours; hours without decisions are there too, and empty."""
    counts = {str(one.get("hour")): one for one in hours}
    found = []
    for number in range(24):
        at = since + number * _HOUR
        one = counts.get(f"{at:%Y-%m-%dT%H}:00:00Z", {})
        allowed, refused = int(one.get("allow", 0)), int(one.get("deny", 0))
        said = f"{at:%d %b %H:00} UTC: {allowed} allowed, {refused} refused"
        label = f"{at:%H}" if number % 3 == 0 else ""
        found.append(Bar(label=label, title=said, allowed=allowed, refused=refused))
    return bars(found, title=title)


def _health(found: Mapping[str, Any] | Trouble) -> tuple[str, list[tuple[str, str]]]:
    if isinstance(found, Trouble):
        return ("away" if found.is_away else "ok"), ([("answer", found.title)] if found.is_away else [])
    parts = found.get("parts")
    shown = [(str(name), str(state)) for name, state in parts.items()] if isinstance(parts, Mapping) else []
    return str(found.get("status", "unknown")), shown


def _expiring(credentials: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    found = []
    for one in credentials:
        try:
            ends = parse_timestamp(one.get("valid_until"))
        except DidAgentError:
            continue
        if now < ends <= now + SOON:
            found.append(one)
    return sorted(found, key=lambda one: str(one.get("valid_until")))[:8]


ROUTES: Final = (Route(path="/", handler=index),)
