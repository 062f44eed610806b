"""Questions to people in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Boolean, Column, Integer, String, Table, delete, func, select, update

from bridge.adapters.rows import Rows, digest_of
from bridge.adapters.tables import DIGEST, NAME, _key, _owner, _text, _time, metadata
from bridge.model.backchannel import Asking
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

askings: Final = Table(
    "bridge_askings",
    metadata,
    _key("pair"),  # digest of person and agent
    Column("digest", String(DIGEST), nullable=False, unique=True),
    _owner(),
    Column("agent", String(NAME), nullable=False, index=True),
    _text("content"),
    Column("is_shown", Boolean, nullable=False),
    _time("asked"),
    _time("expires"),
    Column("interval", Integer, nullable=False),
    _time("polled"),
    _text("state"),
    _text("allowed"),
)
_COLUMNS: Final = frozenset(askings.columns.keys())
_CONTENT: Final = tuple(name for name in Asking.__slots__ if name not in _COLUMNS)


class AskingRows(Rows):
    """Implements `bridge.ports.backchannel.Askings`."""

    async def add_asking(self, asking: Asking) -> bool:
        pair = digest_of(f"{asking.agent} {asking.username}")
        over = (askings.c.expires <= numeric_date(asking.asked)) | (askings.c.state == "taken")
        await self._do.execute(delete(askings).where(askings.c.pair == pair, over))
        content = {name: getattr(asking, name) for name in _CONTENT}
        scopes = None if asking.scopes is None else sorted(asking.scopes)
        row = {
            "pair": pair,
            "digest": asking.digest,
            "username": asking.username,
            "agent": asking.agent,
            "content": json.dumps({**content, "scopes": scopes}),
            "is_shown": asking.is_shown,
            "asked": numeric_date(asking.asked),
            "expires": numeric_date(asking.expires),
            "interval": asking.interval,
            "polled": numeric_date(asking.polled),
            "state": asking.state,
            "allowed": "[]",
        }
        return await sql.insert_if_absent(self._do, askings, row)

    async def asking(self, digest: str) -> Asking | None:
        rows = await self._rows(askings, askings.c.digest == digest)
        return _asking(rows[0]) if rows else None

    async def waiting_askings(self, username: str, *, now: datetime) -> Sequence[Asking]:
        live = (askings.c.username == username) & (askings.c.expires > numeric_date(now))
        waiting = select(askings).where(live, askings.c.state == "pending", askings.c.is_shown)
        rows = (await self._do.execute(waiting.order_by(askings.c.asked, askings.c.pair))).mappings()
        return [_asking(dict(row)) for row in rows]

    async def open_askings(self, username: str, agent: str, *, now: datetime) -> tuple[int, int]:
        live = (askings.c.expires > numeric_date(now)) & (askings.c.state != "taken")
        person, of_agent = (
            select(func.count()).where(live, owner).scalar_subquery()
            for owner in (askings.c.username == username, askings.c.agent == agent)
        )
        row = (await self._do.execute(select(person, of_agent))).one()
        return int(row[0]), int(row[1])

    async def answer_asking(
        self,
        digest: str,
        state: Literal["allowed", "denied"],
        allowed: frozenset[str],
        *,
        now: datetime,
        until: datetime,
    ) -> bool:
        waiting = (askings.c.digest == digest) & (askings.c.state == "pending") & askings.c.is_shown
        live = waiting & (askings.c.expires > numeric_date(now))
        values = {"state": state, "allowed": json.dumps(sorted(allowed)), "expires": numeric_date(until)}
        return bool((await self._do.execute(update(askings).where(live).values(**values))).rowcount)

    async def pace_asking(self, digest: str, *, polled: datetime, interval: int) -> None:
        values = {"polled": numeric_date(polled), "interval": interval}
        await self._do.execute(update(askings).where(askings.c.digest == digest).values(**values))

    async def take_asking(self, digest: str) -> bool:
        ready = (askings.c.digest == digest) & (askings.c.state == "allowed")
        return bool((await self._do.execute(update(askings).where(ready).values(state="taken"))).rowcount)


def _asking(row: Mapping[str, Any]) -> Asking:
    content = json.loads(row["content"])
    scopes = None if content["scopes"] is None else frozenset(content["scopes"])
    times = {name: from_numeric_date(row[name]) for name in ("asked", "expires", "polled")}
    plain = {name: row[name] for name in ("digest", "username", "agent", "interval", "state")}
    return Asking(
        **{**content, **plain, **times, "scopes": scopes},
        is_shown=bool(row["is_shown"]),
        allowed=frozenset(json.loads(row["allowed"])),
    )
