"""How rows are found again: what is written beside them, and the one query of every page.

Each filter has an index that ends with the row number, so the database walks it in the order of the page and stops
when the page is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import Column, ColumnElement, Executable, Select, func, select
from sqlalchemy.dialects.postgresql import insert as upsert_postgresql
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.adapters.tables import HOUR_LENGTH, INDEXED, MAX_NAME, actors, events, hours, key_of, mentions
from ledger.model import Count, Entry, Question
from ledger.sealing import Sealer

Names = Mapping[str, Sequence[str]]

_REASON: Final = INDEXED["reason"]


def event_rows(fresh: Sequence[Entry], first: int) -> list[dict[str, Any]]:
    """Return the rows of new entries, numbered from `first`."""
    rows = []
    for seq, entry in enumerate(fresh, first):
        row: dict[str, Any] = {"seq": seq, "id": entry.id, "leaf": entry.leaf, "event": entry.text, "time": entry.time}
        row["sealed"] = entry.sealed
        for name, limit in INDEXED.items():
            said = getattr(entry, name)
            row[name] = said and key_of(said, limit)
        rows.append(row)
    return rows


def actor_rows(fresh: Sequence[Entry], first: int) -> list[dict[str, Any]]:
    """Return by whom new entries are found: every agent in their chains, and who stands at the start."""
    return [{"actor": name, "seq": seq} for name, seq in _names(fresh, first, "actors")]


def mention_rows(fresh: Sequence[Entry], first: int) -> list[dict[str, Any]]:
    """Return by which credentials and tasks new entries are found."""
    return [{"what": name, "seq": seq} for name, seq in _names(fresh, first, "mentions")]


def _names(fresh: Sequence[Entry], first: int, of: str) -> Iterator[tuple[str, int]]:
    for seq, entry in enumerate(fresh, first):
        for name in dict.fromkeys([key_of(one, MAX_NAME) for one in getattr(entry, of)]):
            yield name, seq


async def count_hours(connection: AsyncConnection, fresh: Sequence[Entry], first: int) -> None:
    """Add new entries to the counts of their hours."""
    counted: dict[tuple[str, str, str, str], list[int]] = {}
    for seq, entry in enumerate(fresh, first):
        whose = key_of(entry.organisation, MAX_NAME) if entry.organisation else ""
        key = (entry.time[:HOUR_LENGTH], whose, entry.decision, key_of(entry.reason, _REASON))
        found = counted.setdefault(key, [0, seq, seq])
        found[0] += 1
        found[2] = seq
    rows = [
        {"hour": hour, "organisation": whose, "decision": decision, "reason": reason, "count": count, "first": lowest}
        | {"last": highest}
        for (hour, whose, decision, reason), (count, lowest, highest) in sorted(counted.items())
    ]
    if rows:
        await connection.execute(_counting(connection.dialect.name), rows)


@cache
def _counting(dialect: str) -> Executable:
    made = (upsert_postgresql if dialect == "postgresql" else upsert_sqlite)(hours)
    grown = {"count": hours.c.count + made.excluded.count, "last": made.excluded.last}
    return made.on_conflict_do_update(index_elements=list(hours.primary_key.columns), set_=grown)


async def hours_between(
    connection: AsyncConnection, since: str, until: str, organisation: str | None
) -> Sequence[Count]:
    """Return the counts of the hours from `since` to before `until`."""
    total = func.sum(hours.c.count).label("total")
    query = (
        select(hours.c.hour, hours.c.decision, hours.c.reason, total)
        .where(hours.c.hour >= since[:HOUR_LENGTH], hours.c.hour < until[:HOUR_LENGTH])
        .group_by(hours.c.hour, hours.c.decision, hours.c.reason)
        .order_by(hours.c.hour, hours.c.decision, hours.c.reason)
    )
    if organisation is not None:
        query = query.where(hours.c.organisation == key_of(organisation, MAX_NAME))
    found = (await connection.execute(query)).all()
    return [Count(hour=one.hour, decision=one.decision, reason=one.reason, count=int(one.total)) for one in found]


async def span_of(connection: AsyncConnection, question: Question) -> tuple[int, int | None]:
    """Return between which rows those of the wanted time lie: more than the first, at most the second.

    Parties deliver late and by their own clocks, so this only narrows; the exact time is compared in the rows.
    """
    lowest, highest = 0, None
    if question.since is not None:
        first = select(func.min(hours.c.first)).where(hours.c.hour >= question.since[:HOUR_LENGTH])
        found = await connection.scalar(first)
        if found is None:
            return 0, 0
        lowest = int(found) - 1
    if question.until is not None:
        last = select(func.max(hours.c.last)).where(hours.c.hour <= question.until[:HOUR_LENGTH])
        highest = int(await connection.scalar(last) or 0)
    return lowest, highest


async def known_as(connection: AsyncConnection, question: Question, sealer: Sealer) -> Names:
    """Return as what the names of a question stand in the indexes: people by their marks, all else as it is.

    Who stands at the start of a chain is one who acted; only what has no mark has a column of its own for that.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, said in (("principal", question.principal), ("actor", question.actor), ("target", question.target)):
        if said is not None:
            plain, mark = key_of(said, MAX_NAME), sealer.mark(said)
            column = events.c.target if name == "target" else actors.c.actor
            standing = [one for one in (plain, mark) if await _stands(connection, column, one)]
            is_marked = name == "principal" and mark in standing
            found["person" if is_marked else name] = tuple(standing) or (plain,)
    return found


async def _stands(connection: AsyncConnection, column: Column[Any], value: str) -> bool:
    return await connection.scalar(select(column).where(column == value).limit(1)) is not None


def page_of(question: Question, span: tuple[int, int | None], names: Names) -> Select[Any]:
    """Return the query of one page."""
    query, seq = _found_by(question, names)
    (lowest, highest), before = span, question.before
    query = query.where(seq > max(question.after, lowest))
    if highest is not None:
        query = query.where(seq <= highest)
    if before is not None:
        query = query.where(seq < before)
    return query.order_by(seq.desc() if question.newest else seq).limit(question.limit)


def _found_by(question: Question, names: Names) -> tuple[Select[Any], ColumnElement[int]]:
    query, seq = select(events), cast("ColumnElement[int]", events.c.seq)
    credentials, tasks, people = mentions.alias("of_credential"), mentions.alias("of_task"), actors.alias("people")
    for table, column, wanted in (
        (people, people.c.actor, names.get("person")),
        (actors, actors.c.actor, names.get("actor")),
        (credentials, credentials.c.what, question.credential and (key_of(question.credential, MAX_NAME),)),
        (tasks, tasks.c.what, question.task and (key_of(question.task, MAX_NAME),)),
    ):
        if wanted is not None:
            query = query.join(table, table.c.seq == events.c.seq).where(_is_any(column, wanted))
            seq = table.c.seq
    for name, limit in INDEXED.items():
        said = getattr(question, name)
        if said is not None and (name != "principal" or "person" not in names):
            query = query.where(_is_any(events.c[name], names.get(name) or (key_of(said, limit),)))
    if question.id is not None:
        query = query.where(events.c.id == question.id)
    if question.since is not None:
        query = query.where(events.c.time >= question.since)
    if question.until is not None:
        query = query.where(events.c.time < question.until)
    return query, seq


def _is_any(column: ColumnElement[Any], wanted: Sequence[str]) -> ColumnElement[bool]:
    return column == wanted[0] if len(wanted) == 1 else column.in_(wanted)
