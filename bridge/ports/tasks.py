"""Tasks, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.tasks import Task


class Tasks(Protocol):
    """Kept by id."""

    # Writes a task that is new; of one that is known, when it ends by itself.
    async def begin_task(self, task: Task) -> None: ...

    # Says under which key its agent goes by now.
    async def follow_task(self, task_id: str, *, before: str, after: str) -> None: ...

    async def task(self, task_id: str) -> Task | None: ...

    # What a client that began them calls so.
    async def tasks_called(self, name: str, *, client_id: str) -> Sequence[Task]: ...

    # Those that are not completed, the newest first; of one person, or of all.
    async def open_tasks(self, *, limit: int, username: str | None = None) -> Sequence[Task]: ...

    # False when it was completed before.
    async def complete_task(self, task_id: str, *, by: str, now: datetime) -> bool: ...
