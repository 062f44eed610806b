"""Many announcements at once in SQL: one look and one write for a table, however many have ended (REV-03)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from bridge.adapters import tables
from bridge.adapters.rows import digest_of
from bridge.adapters.sql_token_status import TokenStatusRows
from did_agent.clock import numeric_date
from did_agent.tokens.security_event import RESUMPTIONS, SUSPENSIONS, SecurityEvent

_REVERSIBLE: Final = (*SUSPENSIONS, *RESUMPTIONS)


class FeedRows(TokenStatusRows):
    """Implements `bridge.ports.feed.Announcements`."""

    async def announce_all(self, entries: Sequence[tuple[SecurityEvent, str, str]]) -> Sequence[SecurityEvent]:
        """Append events with their signed form and key, in order; return those that were not announced before."""
        head = tables.feed_head
        seq = (await self._do.execute(select(head.c.seq).with_for_update())).scalar_one()
        named: dict[str, tuple[SecurityEvent, str]] = {}
        for event, signed, key in entries:
            named.setdefault(digest_of(key), (event, signed))
        query = select(tables.feed.c.key).where(tables.feed.c.key.in_(named))
        known = set((await self._do.execute(query)).scalars())
        fresh = [(digest, *named[digest]) for digest in named if digest not in known]
        if not fresh:
            return []
        rows = [
            {"seq": number, "key": digest, "token": signed}
            for number, (digest, _, signed) in enumerate(fresh, start=seq + 1)
        ]
        await self._do.execute(insert(tables.feed), rows)
        await self._do.execute(update(head).values(seq=seq + len(rows)))
        events = [event for _, event, _ in fresh]
        await self._end_all(events)
        at = min(numeric_date(event.issued_at) for event in events)
        await self._flip_tokens([event.subject for event in events], version=seq + len(rows), at=at)
        return events

    async def _end_all(self, events: Sequence[SecurityEvent]) -> None:
        subjects = list({event.subject for event in events})
        table = tables.endings
        query = select(table).where(table.c.subject.in_(subjects))
        before = {row.subject: dict(row._mapping) for row in (await self._do.execute(query)).all()}  # noqa: SLF001 - documented, SQLAlchemy's name for it
        after = dict(before)
        for event in events:
            _end(after, event)
        changed = [row for subject, row in after.items() if before.get(subject) != row]
        if changed:
            await self._do.execute(delete(table).where(table.c.subject.in_([row["subject"] for row in changed])))
            await self._do.execute(insert(table), changed)


def _end(endings: dict[str, Mapping[str, Any]], event: SecurityEvent) -> None:
    known, at = endings.get(event.subject), numeric_date(event.issued_at)
    # Revoked and retired are final; suspending and resuming go by their own time, not by their arrival.
    if known is not None and (known["kind"] not in _REVERSIBLE or (event.kind in _REVERSIBLE and known["at"] > at)):
        return
    endings[event.subject] = {"subject": event.subject, "kind": event.kind, "at": at}
