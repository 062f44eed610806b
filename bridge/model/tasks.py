"""Tasks: what agents were set to do, and what ends with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.model.refresh import FAMILY_LIFE
from did_agent.policy.caller import PrincipalKind

TASK_KEPT: Final = FAMILY_LIFE + timedelta(days=1)  # after its last token; until then something may come of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task; its id is of its client, its principal and its name, so that nobody else can have it (DEL-05)."""

    id: str
    name: str  # as its client calls it
    principal: str
    principal_kind: PrincipalKind
    client_id: str  # that began it
    agents: tuple[str, ...]  # that acted when it began; whoever joins it later cannot end it
    resource: str  # of the first token
    started: datetime
    expires: datetime  # when nothing can come of it any more
    completed: datetime | None = None
    completed_by: str | None = None
