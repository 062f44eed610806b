"""Whoever gave an agent away still counts as its owner for what was asked before (WEB-04)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from did_agent.errors import InsufficientScope
from issuer.model import Agent, Operator
from issuer.ports import Work

_LOOKED_AT: Final = 100  # happenings, the newest first; who hides behind more of them is refused


async def require_not_handed_over(work: Work, agent: Agent, *, since: datetime, by: Operator) -> None:
    """Return when somebody did not give the agent away since a moment, to be another than its owner.

    Raises: InsufficientScope, StoreUnavailable.
    """
    seen = await work.history(agent, after=0, limit=_LOOKED_AT)
    later = [happened for happened in seen if happened.at >= since]
    gave_away = any(one.event == "transfer" and one.actor in {by.principal, *by.actors} for one in later)
    if gave_away or len(later) == _LOOKED_AT:
        raise InsufficientScope("who owned the agent when it was asked for does not approve it")
