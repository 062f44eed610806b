"""Tasks in the bridge's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, String, Table, Text, select, update

from bridge.adapters.rows import Rows
from bridge.adapters.tables import NAME, _key, _text, _time, metadata
from bridge.model.tasks import Task
from did_agent.adapters import sql
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date

tasks: Final = Table(
    "bridge_tasks",
    metadata,
    _key("id"),
    Column("name", String(128), nullable=False),
    Column("principal", String(NAME), nullable=False, index=True),
    _text("principal_kind"),
    Column("client_id", String(NAME), nullable=False, index=True),
    _text("agents"),
    _text("resource"),
    _time("started"),
    _time("expires"),
    Column("completed", BigInteger),
    Column("completed_by", Text),
)


class TaskRows(Rows):
    """Implements `bridge.ports.tasks.Tasks`."""

    async def begin_task(self, task: Task) -> None:
        values = {
            **{name: getattr(task, name) for name in ("id", "name", "principal", "principal_kind", "client_id")},
            "agents": json.dumps(list(task.agents)),
            "resource": task.resource,
            "started": numeric_date(task.started),
            "expires": numeric_date(task.expires),
        }
        if not await sql.insert_if_absent(self._do, tasks, values):
            later = (tasks.c.id == task.id) & (tasks.c.expires < values["expires"])
            await self._do.execute(update(tasks).where(later).values(expires=values["expires"]))

    async def follow_task(self, task_id: str, *, before: str, after: str) -> None:
        task = await self.task(task_id)
        if task is None:
            return
        agents = [after if name == before else name for name in task.agents]
        values = {"agents": json.dumps(agents), "client_id": after if task.client_id == before else task.client_id}
        await self._do.execute(update(tasks).where(tasks.c.id == task_id).values(**values))

    async def task(self, task_id: str) -> Task | None:
        rows = await self._rows(tasks, tasks.c.id == task_id)
        return _task(rows[0]) if rows else None

    async def tasks_called(self, name: str, *, client_id: str) -> Sequence[Task]:
        rows = await self._rows(tasks, tasks.c.client_id == client_id, tasks.c.name == name)
        return [_task(row) for row in rows]

    async def open_tasks(self, *, limit: int, username: str | None = None) -> Sequence[Task]:
        query = select(tasks).where(tasks.c.completed.is_(None))
        if username is not None:
            query = query.where(tasks.c.principal == username, tasks.c.principal_kind == "user")
        newest = query.order_by(tasks.c.started.desc(), tasks.c.id).limit(limit)
        return [_task(row) for row in (await self._do.execute(newest)).mappings()]

    async def complete_task(self, task_id: str, *, by: str, now: datetime) -> bool:
        running = (tasks.c.id == task_id) & tasks.c.completed.is_(None)
        values = {"completed": numeric_date(now), "completed_by": by}
        return bool((await self._do.execute(update(tasks).where(running).values(**values))).rowcount)


def _task(row: Mapping[Any, Any]) -> Task:
    times = {name: from_numeric_date(row[name]) for name in ("started", "expires")}
    completed = None if row["completed"] is None else from_numeric_date(row["completed"])
    agents = tuple(json.loads(row["agents"]))
    return Task(**{**row, **times, "completed": completed, "agents": agents})
