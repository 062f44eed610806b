"""Every filter of the log finds what a look at every row finds, alone and with others, in pages of any size."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData

from did_agent.audit.event import AuditEvent
from did_agent.clock import format_milliseconds
from ledger.adapters.sql import SQLLog, metadata
from ledger.model import Question
from ledger.sealing import Sealer
from tests.contract.test_ledger_log import KEY, NOW, event, sign

Opened = Callable[[MetaData], Any]
PEOPLE, AGENTS = ("smith", "jones", None), ("did:key:zA", "did:key:zB", "did:key:zC")
CREDENTIALS = ("urn:uuid:c1", "urn:uuid:c2")
HOUR = timedelta(hours=1)


def trail() -> list[AuditEvent]:
    """Return events that differ in all that is asked for, of five hours, not in the order of their times."""
    made = []
    for number in range(240):
        chain = tuple(AGENTS[: 1 + number % 3]) if number % 5 else ()
        details = {"organisation": "acme"} if number % 4 == 0 else {}
        made.append(
            event(
                number,
                time=NOW + HOUR * (number * 7 % 5) + timedelta(milliseconds=number),
                principal=AGENTS[2] if number % 11 == 0 else PEOPLE[number % 3],
                actors=chain,
                target=("create_order", "list_menu")[number % 2],
                action=("tool.call", "token.issue")[number % 7 == 0],
                decision="allow" if number % 3 else "deny",
                reason="allowed" if number % 3 else ("revoked", "expired")[number % 2],
                request_id=f"request-{number // 4}",
                credential_ids=CREDENTIALS[: number % 3],
                details={**details, **({"task": "urn:uuid:t1"} if number % 6 == 0 else {})},
            )
        )
    return made


def fits(one: AuditEvent, wanted: dict[str, Any]) -> bool:
    """Look at one event as a person would."""
    said = {
        "actor": lambda value: value in (*one.actors, one.principal),
        "credential": lambda value: value in one.credential_ids,
        "task": lambda value: one.details.get("task") == value,
        "since": lambda value: format_milliseconds(one.time) >= value,
        "until": lambda value: format_milliseconds(one.time) < value,
        "organisation": lambda value: one.details.get("organisation") == value,
    }
    return all(said[name](value) if name in said else getattr(one, name) == value for name, value in wanted.items())


WANTED: Sequence[dict[str, Any]] = (
    {"principal": "smith"},
    {"actor": "did:key:zA"},
    {"actor": "did:key:zC"},
    {"target": "list_menu"},
    {"action": "token.issue"},
    {"decision": "deny"},
    {"reason": "expired"},
    {"request_id": "request-7"},
    {"credential": "urn:uuid:c2"},
    {"task": "urn:uuid:t1"},
    {"since": format_milliseconds(NOW + HOUR)},
    {"until": format_milliseconds(NOW + 2 * HOUR + timedelta(milliseconds=100))},
    {"organisation": "acme"},
    {"reason": "nothing-like-it"},
)


@pytest.fixture
async def log(opened: Opened) -> AsyncIterator[SQLLog]:
    async with opened(metadata) as engine:
        made, events = SQLLog(engine, Sealer(KEY)), trail()
        for first in range(0, len(events), 50):
            await made.append(events[first : first + 50], sign=sign, now=NOW)
        yield made


async def pages(log: SQLLog, wanted: dict[str, Any], *, newest: bool, limit: int) -> list[str]:
    """Return the ids of every page, one after the other."""
    found: list[str] = []
    at: dict[str, Any] = {}
    while True:
        rows = list(await log.rows(Question(**wanted, **at, newest=newest, limit=limit)))
        found += [row.event.id for row in (reversed(rows) if newest else rows)]
        if len(rows) < limit:
            return found
        at = {"before": rows[0].seq} if newest else {"after": rows[-1].seq}


@pytest.mark.req("WEB-02", "AUD-02")
async def test_each_filter_and_each_two_find_what_a_look_at_every_row_finds(log: SQLLog) -> None:
    events = trail()
    pairs = [{**one, **other} for one, other in itertools.combinations(WANTED, 2)]
    for wanted in (*WANTED, *pairs):
        expected = [one.id for one in events if fits(one, wanted)]
        assert await pages(log, wanted, newest=False, limit=37) == expected, wanted
        assert await pages(log, wanted, newest=True, limit=37) == expected[::-1], wanted


async def test_counts_by_the_hour_are_those_of_the_rows(log: SQLLog) -> None:
    since, until = format_milliseconds(NOW), format_milliseconds(NOW + 3 * HOUR)
    for whose in (None, "acme"):
        counted = [(one.hour, one.decision, one.reason, one.count) for one in await log.counts(since, until, whose)]
        expected: dict[tuple[str, str, str], int] = {}
        for one in trail():
            hour = format_milliseconds(one.time)[:13]
            if since[:13] <= hour < until[:13] and (whose is None or one.details.get("organisation") == whose):
                key = (hour, one.decision, one.reason)
                expected[key] = expected.get(key, 0) + 1
        assert counted == [(*key, count) for key, count in sorted(expected.items())]
