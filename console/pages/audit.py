"""The audit trail: a picture, a table, one event with its proof, and the trail as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from console.drawing.lanes import Point, lanes
from console.web.rendering import segment
from console.web.visit import Answer, Download, Page, Route, Visit, rows_of
from did_agent.audit.exports import spreadsheet
from did_agent.audit.why import explain_event
from did_agent.encoding.timestamp import parse_timestamp

PAGE: Final = 100
FILTERS: Final = (
    "principal",
    "actor",
    "target",
    "action",
    "decision",
    "reason",
    "request_id",
    "credential",
    "task",
    "since",
    "until",
)


async def index(visit: Visit) -> Answer:
    """Show decisions, newest first."""
    asked, sent = _asked(visit)
    found = await visit.part("ledger", "/events", newest="true", limit=PAGE, before=visit.query.get("before"), **sent)
    rows = rows_of(found, "events")[::-1]
    picture = lanes([_point(row) for row in rows], title=f"{len(rows)} decisions, one lane for each agent or person")
    return Page(
        template="audit.html",
        values={
            "found": found,
            "rows": rows,
            "asked": asked,
            "picture": picture,
            "older": rows[-1]["seq"] if len(rows) == PAGE else None,
            "live": visit.query.get("live") == "yes" and not visit.query.get("before"),
        },
    )


async def export(visit: Visit) -> Answer:
    """Give what is shown as a file."""
    _, sent = _asked(visit)
    found = await visit.get("ledger", "/events", newest="true", limit=500, before=visit.query.get("before"), **sent)
    rows = rows_of(found, "events")
    if visit.query.get("format") == "csv":
        content = spreadsheet.header() + spreadsheet.lines(rows)
        return Download(name="audit.csv", media_type="text/csv", content=content.encode())
    lines = "".join(json.dumps(row["event"]) + "\n" for row in rows)
    return Download(name="audit.jsonl", media_type="application/jsonl", content=lines.encode())


async def show(visit: Visit) -> Answer:
    """Show one event, why it came to that, and that the log holds it."""
    identifier = visit.path["identifier"]
    found = await visit.get("ledger", "/events", id=identifier, limit=1)
    rows = rows_of(found, "events")
    if not rows:
        return Page(template="no_event.html", values={"identifier": identifier}, status=404)
    row = rows[0]
    (proof,) = await visit.parts(visit.part("ledger", "/proofs/inclusion", id=identifier))
    event = row["event"]
    return Page(
        template="event.html",
        values={"row": row, "event": event, "why": explain_event(event), "proof": proof, "urls": visit.urls},
    )


def _asked(visit: Visit) -> tuple[dict[str, str | None], dict[str, str | None]]:
    asked = {name: visit.query.get(name) for name in FILTERS}
    sent = dict(asked)
    for name in ("since", "until"):
        text = sent[name]
        if text and len(text) == len("2026-01-31T00:00"):  # as browsers send it
            sent[name] = f"{text}:00Z"
    return asked, sent


def _point(row: Mapping[str, Any]) -> Point:
    event = row["event"]
    actors = event.get("actors") or []
    lane = str(actors[0] if actors else event.get("principal") or event.get("party"))
    said = f"{event['time']}: {event['action']} {event.get('target') or ''} {event['decision']} ({event['reason']})"
    return Point(
        lane=lane,
        at=parse_timestamp(event["time"]),
        allowed=event["decision"] == "allow",
        title=said,
        href=f"/audit/{segment(event['id'])}",
    )


ROUTES: Final = (
    Route(path="/audit", handler=index),
    Route(path="/audit-export", handler=export),
    Route(path="/audit/{identifier}", handler=show),
)
