"""Questions to the log: the filters of a page, its live end as server-sent events, and counts by the hour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from did_agent.adapters.web_input import Parameters, read_query
from did_agent.clock import format_milliseconds
from did_agent.encoding import base64url
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import DidAgentError, InvalidParameter, TooManyPending
from ledger.model import MAX_PAGE, Count, Question, Row
from ledger.service import LedgerService

MAX_LISTENERS: Final = 64  # of one process
MAX_SPAN: Final = timedelta(days=31)  # of counts
LOOK: Final = 0.5  # s between looks at the end of the log
REST: Final = 60.0  # s after which a listener is asked for its rights again: the stream ends, and it comes back
HEARTBEAT: Final = 15.0  # s without a row
_MAX_ROW: Final = 2**53 - 1
_WORDS: Final = (
    "principal",
    "actor",
    "target",
    "action",
    "decision",
    "reason",
    "request_id",
    "credential",
    "task",
    "id",
)

Reader = Callable[[Request], Awaitable[str | None]]


class _Tail:
    """The live end of the log, for as many listeners as there are places."""

    def __init__(self, service: LedgerService) -> None:
        self._service, self._listening = service, 0

    async def begin(self, question: Question) -> AsyncIterator[str]:
        """Return the events of a stream.  Raises: TooManyPending."""
        if self._listening >= MAX_LISTENERS:
            raise TooManyPending(f"{MAX_LISTENERS} listen already")
        return self._follow(question)

    async def _follow(self, question: Question) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        self._listening += 1
        try:
            begun = spoken = clock()
            yield f"retry: {int(LOOK * 1000)}\n\n"
            while clock() - begun < REST:
                found = await self._service.log.rows(question)
                for row in found:
                    yield f"id: {row.seq}\nevent: row\ndata: {json.dumps(wire_row(row))}\n\n"
                if found:
                    question, spoken = replace(question, after=found[-1].seq), clock()
                elif clock() - spoken >= HEARTBEAT:
                    yield ": still here\n\n"
                    spoken = clock()
                if len(found) < question.limit:
                    await asyncio.sleep(LOOK)
        finally:
            self._listening -= 1


def add_searching(app: FastAPI, service: LedgerService, require_reader: Reader) -> None:
    """Add the live end and the counts."""
    tail = _Tail(service)

    @app.get("/events/stream")
    async def stream(request: Request) -> StreamingResponse:
        question = question_of(read_query(request), await require_reader(request))
        seen = request.headers.get("last-event-id")
        after = number(seen, "Last-Event-ID") if seen else question.after or await service.log.size()
        found = await tail.begin(replace(question, after=after, before=None, newest=False))
        return StreamingResponse(found, media_type="text/event-stream")

    @app.get("/usage")
    async def usage(request: Request) -> JSONResponse:
        whose = await require_reader(request)
        query = read_query(request)
        since, until = moment(query.require("since"), "since"), moment(query.require("until"), "until")
        if not since < until <= since + MAX_SPAN:
            raise InvalidParameter(f"until is after since, by at most {MAX_SPAN.days} days")
        counts = await service.log.counts(format_milliseconds(since), format_milliseconds(until), whose)
        return JSONResponse(_summary(counts))


def _summary(counts: Sequence[Count]) -> dict[str, object]:
    by_hour: dict[str, dict[str, int]] = {}
    reasons: dict[str, int] = {}
    for one in counts:
        hour = by_hour.setdefault(one.hour, {"allow": 0, "deny": 0})
        hour[one.decision] = hour.get(one.decision, 0) + one.count
        if one.decision == "deny":
            reasons[one.reason] = reasons.get(one.reason, 0) + one.count
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "hours": [{"hour": f"{hour}:00:00Z", **found} for hour, found in by_hour.items()],
        "refusals": [{"reason": reason, "count": count} for reason, count in ordered[:20]],
    }


def question_of(query: Parameters, whose: str | None) -> Question:
    """Return the page a query asks for, of what the reader may see alone.

    Raises: InvalidParameter.
    """
    since, until = query.get("since"), query.get("until")
    return Question(
        after=number_in(query, "after", 0),
        before=number_in(query, "before", None) if query.get("before") else None,
        limit=min(number_in(query, "limit", 100), MAX_PAGE),
        newest=query.get("newest") == "true",
        organisation=whose,
        since=since and format_milliseconds(moment(since, "since")),
        until=until and format_milliseconds(moment(until, "until")),
        **{name: query.get(name) for name in _WORDS},
    )


def moment(text: str, name: str) -> datetime:
    """Return a time of a query (RFC 3339, UTC).  Raises: InvalidParameter."""
    try:
        return parse_timestamp(text)
    except DidAgentError as error:
        raise InvalidParameter(f"{name} is not a time like 2026-01-31T00:00:00Z") from error


def number_in(query: Parameters, name: str, default: int | None) -> int:
    """Return a row number of a query; without a default it must be there.  Raises: InvalidParameter."""
    text = query.get(name) if default is not None else query.require(name)
    return default or 0 if text is None else number(text, name)


def number(text: str, name: str) -> int:
    """Return a row number.  Raises: InvalidParameter."""
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > _MAX_ROW:
        raise InvalidParameter(f"{name} is not a row number")
    return int(text)


def wire_row(row: Row) -> dict[str, object]:
    """Return a row as answers carry it."""
    members = {"seq": row.seq, "leaf": base64url.encode(row.leaf), "event": row.event.to_json()}
    return {**members, "salts": dict(row.salts)} if row.salts else members
